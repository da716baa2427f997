import { z } from 'zod';

const preserve = { 'x-kubernetes-preserve-unknown-fields': true };

/** A part of a Pod that we hand on as it is: its fields are the API server's business when the Pod is made. */
export const opaqueObject = () => z.looseObject({}).meta(preserve);

export const opaqueList = () => z.array(opaqueObject());

/** A number or a text, as Kubernetes' IntOrString. */
export const intOrString = (pattern?: string) =>
  z
    .union([z.int(), z.string()])
    .meta({ 'x-kubernetes-int-or-string': true, ...(pattern === undefined ? {} : { pattern }) });
