import type { Answer, Exchange, Refusal, RequestHead } from '@roundhouse/http-relay';
import { forbidden, issuerAway, tooManyTokens, unauthenticated } from '../refusals.ts';
import type { Service } from '../service.ts';
import type { ApiKeys } from './api-keys.ts';
import type { Tokens } from './tokens.ts';

/** What opens services, as the mounted files say now. */
export type Rules = { readonly apiKeys: ApiKeys; readonly tokens: Tokens };

export type Guard = {
  /** Undefined: the request may pass. Parked: its token is being verified, and it is asked again. */
  check(service: Service, head: RequestHead, exchange: Exchange): Answer | undefined;
  /** It is over. */
  forget(exchange: Exchange): void;
};

/** Tokens that are verified at a time: each costs some 0.1 ms of this process. */
const verifyingMax = 256;
/** Nothing that is issued in earnest is longer. */
const tokenSizeMax = 8 * 1024;

/** Asks for a credential where a service wants one: nothing passes that is not known to be allowed. */
export function createGuard(rules: () => Rules): Guard {
  /** Requests whose token is being verified. The number tells a later request of the same connection from this one. */
  const verifying = new Map<Exchange, number>();
  let verifications = 0;

  function check(service: Service, head: RequestHead, exchange: Exchange): Answer | undefined {
    const { auth } = service.route;
    exchange.dropsCredentials = true;
    const bearer = /^bearer +(\S+) *$/i.exec(head.field('authorization') ?? '')?.[1];
    const shown = head.field('x-api-key') ?? bearer;
    if (shown === undefined || shown.length > tokenSizeMax) return unauthenticated(service, 'a credential is needed');
    const key = auth.includes('api-key') ? rules().apiKeys.find(shown) : undefined;
    if (key !== undefined) return key.opens(service.key) ? undefined : forbidden(service);
    if (!auth.includes('jwt') || bearer === undefined || bearer.split('.').length !== 3) {
      return unauthenticated(service, 'the credential is not known');
    }
    const token = rules().tokens.known(bearer);
    if (token !== undefined) return token.issuer.opens(service.key) ? undefined : forbidden(service);
    return verify(service, bearer, exchange);
  }

  function verify(service: Service, token: string, exchange: Exchange): Answer {
    if (verifying.size >= verifyingMax) return tooManyTokens;
    const ticket = verifications++;
    verifying.set(exchange, ticket);
    const settle = (answer?: Answer) => {
      if (verifying.get(exchange) !== ticket) return;
      verifying.delete(exchange);
      exchange.resume(answer);
    };
    rules()
      .tokens.verify(token)
      .then(
        () => settle(),
        (error: unknown) => settle(refusalFor(service, (error as { code?: string }).code, error)),
      );
    return 'parked';
  }

  return { check, forget: (exchange) => void verifying.delete(exchange) };
}

/** In words of ours: what a library says of a token may quote it. */
function refusalFor(service: Service, code = '', error: unknown): Refusal {
  if (code === 'ERR_JWT_EXPIRED') return unauthenticated(service, 'the token has expired');
  if (code === 'ERR_JWT_CLAIM_VALIDATION_FAILED') {
    return unauthenticated(service, `the token's claim "${(error as { claim?: string }).claim}" does not hold here`);
  }
  // What is wrong with the token says so; everything else is wrong with its issuer.
  return /^ERR_(JW[ST]_|JOSE_|JWKS_NO_MATCHING)|^UNKNOWN_ISSUER$/.test(code)
    ? unauthenticated(service, 'the token cannot be verified')
    : issuerAway;
}
