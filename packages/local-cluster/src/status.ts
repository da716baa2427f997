import { ApiError } from './api.ts';
import type { FieldError } from './field-errors.ts';
import type { Kind } from './kinds.ts';

const nameOf = ({ group, resource }: Kind) => (group === '' ? resource : `${resource}.${group}`);
const detailsOf = (kind: Kind, name: string) => ({ name, group: kind.group, kind: kind.resource });

export function notFound(kind: Kind, name: string): ApiError {
  return new ApiError(404, 'NotFound', `${nameOf(kind)} "${name}" not found`, detailsOf(kind, name));
}

export function alreadyExists(kind: Kind, name: string): ApiError {
  return new ApiError(409, 'AlreadyExists', `${nameOf(kind)} "${name}" already exists`, detailsOf(kind, name));
}

export function conflict(kind: Kind, name: string, why: string): ApiError {
  const message = `Operation cannot be fulfilled on ${nameOf(kind)} "${name}": ${why}`;
  return new ApiError(409, 'Conflict', message, detailsOf(kind, name));
}

export function forbidden(kind: Kind, name: string, why: string, causes?: readonly unknown[]): ApiError {
  const details = { ...detailsOf(kind, name), ...(causes && { causes }) };
  return new ApiError(403, 'Forbidden', `${nameOf(kind)} "${name}" is forbidden: ${why}`, details);
}

export function badRequest(message: string): ApiError {
  return new ApiError(400, 'BadRequest', message);
}

export function expired(message: string): ApiError {
  return new ApiError(410, 'Expired', message);
}

export function invalid(kind: Kind, name: string, errors: readonly FieldError[]): ApiError {
  const all = [...new Set(errors.map(({ field, body }) => `${field}: ${body}`))];
  const qualified = kind.group === '' ? kind.kind : `${kind.kind}.${kind.group}`;
  const summary = all.length === 1 ? all[0] : `[${all.join(', ')}]`;
  return new ApiError(422, 'Invalid', `${qualified} "${name}" is invalid: ${summary}`, {
    name,
    group: kind.group,
    kind: kind.kind,
    causes: errors.map(({ field, type, body }) => ({ reason: type, message: body, field })),
  });
}

/** The `Status` object that answers a failed request. */
export function statusOf({ status, reason, message, details }: ApiError): object {
  return {
    kind: 'Status',
    apiVersion: 'v1',
    metadata: {},
    status: 'Failure',
    message,
    reason,
    ...(details && { details }),
    code: status,
  };
}
