import { z } from 'zod';
import { Sha256 } from './digest.ts';
import { ModelPath } from './model.ts';

/** Where a model is to come from, as people write it: `hf:OWNER/NAME[@REV]`, an https URL, or a path on this machine. */
export const ModelSourceText = z.string().min(1).max(4096);

/** How to reach model hubs, from the environment of whoever asks: the token goes to the endpoint's own host and nowhere else. */
export const HubAccess = z.strictObject({
  /** HF_ENDPOINT; https, or http on this machine. */
  endpoint: z.string().min(1).max(2000),
  /** HF_TOKEN. */
  token: z.string().min(1).max(4096).nullable(),
  /** HTTPS_PROXY, HTTP_PROXY and NO_PROXY under these names. */
  proxy: z.partialRecord(z.enum(['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY']), z.string().min(1).max(8192)),
});
export type HubAccess = z.infer<typeof HubAccess>;

const Repository = z.string().regex(/^[A-Za-z0-9][\w.-]{0,95}\/[\w.-]{1,96}$/);
const Commit = z.string().regex(/^[0-9a-f]{40}$/);

/** Where a model came from, pinned. */
export const ModelOrigin = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('hub'),
    endpoint: z.string().max(2000),
    repository: Repository,
    /** The branch or tag that was asked for; null for the default one. */
    requested: z.string().max(200).nullable(),
    revision: Commit,
  }),
  z.strictObject({ type: z.literal('url'), url: z.string().max(4096) }),
  z.strictObject({ type: z.literal('folder'), path: z.string().max(4096) }),
]);
export type ModelOrigin = z.infer<typeof ModelOrigin>;

const Licence = z.string().min(1).max(200).nullable();

/** What adding a model would fetch. Sizes are null where its source does not tell them beforehand. */
export const ModelPlan = z.strictObject({
  name: z.string().max(8192),
  origin: ModelOrigin,
  licence: Licence,
  entry: ModelPath,
  files: z.array(z.strictObject({ path: ModelPath, bytes: z.int().min(0).nullable(), digest: z.string().max(80).nullable() })).max(4096),
  /** Of the files whose size is known. */
  totalBytes: z.int().min(0),
});
export type ModelPlan = z.infer<typeof ModelPlan>;

/** A model that the owner added: kept until it is removed. */
export const AddedModel = z.strictObject({
  digest: Sha256,
  name: z.string().max(8192),
  origin: ModelOrigin,
  licence: Licence,
  /** ms since 1970. */
  addedAt: z.int(),
  entry: ModelPath,
  files: z.array(z.strictObject({ path: ModelPath, bytes: z.int().min(0), digest: Sha256 })).max(4096),
  bytes: z.int().min(0),
});
export type AddedModel = z.infer<typeof AddedModel>;

/** What of a download has come, over all its files. `totalBytes` grows where a graph names files that were not foreseen. */
export const ModelProgress = z.strictObject({
  source: ModelSourceText,
  file: z.string().max(512),
  bytes: z.int().min(0),
  totalBytes: z.int().min(0),
});
export type ModelProgress = z.infer<typeof ModelProgress>;

/**
 * A well-known model, and what it asks of a machine. `diskBytes` is what its page on the hub lists, rounded there; nothing of it was downloaded
 * to check.
 */
export const CatalogueModel = z.strictObject({
  name: z.string().min(1).max(200),
  repository: Repository,
  file: ModelPath,
  task: z.enum(['text-generation', 'feature-extraction', 'text-classification', 'image-classification']),
  diskBytes: z.int().min(1),
  backends: z.array(z.enum(['cpu', 'webgpu'])).min(1),
  licence: z.string().min(1).max(200),
});
export type CatalogueModel = z.infer<typeof CatalogueModel>;

/** A catalogue's entry on this machine. `memoryBytes` is an estimate. `obstacle` says what it lacks; null where it fits. */
export const CatalogueRow = z.strictObject({
  ...CatalogueModel.shape,
  memoryBytes: z.int().min(1),
  obstacle: z.enum(['backend', 'disk', 'memory']).nullable(),
});
export type CatalogueRow = z.infer<typeof CatalogueRow>;
