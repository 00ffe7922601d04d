import type { BackendName } from '../../core/contract/backends.ts';
import type { LeaseRequest } from '../../core/contract/network.ts';
import type { Address } from '../../core/contract/receipt.ts';

/** A machine that asked for work lately, and what it said of itself. */
export interface Asker {
  address: Address;
  payee: Address;
  request: LeaseRequest;
}

/** Whose result wants a second worker's, and what computed it, as far as that is known. */
export interface Claimant {
  worker: Address;
  payee: Address;
  backend: BackendName | null;
  device: string | null;
  model: string;
}

/** What a machine that names no devices computes on. */
const UNNAMED = { name: 'cpu', device: null } as const;

/** What a machine computes on first, and of which kind that is. */
export function firstBackend({ backends }: Pick<LeaseRequest, 'backends'>): { name: BackendName; device: string | null } {
  return backends?.[0] ?? UNNAMED;
}

/** The kind of device with which this machine computes on a backend; null where it names none. */
export function deviceOf({ backends }: Pick<LeaseRequest, 'backends'>, backend: BackendName): string | null {
  return backends?.find(({ name }) => name === backend)?.device ?? null;
}

/**
 * Machines whose answer can be held against this one's, the likest of them: of other owners, on the same backend; on the same kind of device where
 * there are such; and that have the model, where there are such. Empty where what computed the claim isn't known. Pure.
 */
export function secondsFor(claimant: Claimant, askers: Iterable<Asker>): Asker[] {
  const same = (one: string, other: string) => one.toLowerCase() === other.toLowerCase();
  const others = [...askers].filter(
    ({ address, payee, request }) =>
      firstBackend(request).name === claimant.backend &&
      ![address, payee].some((each) => same(each, claimant.worker) || same(each, claimant.payee)),
  );
  const alike = preferred(others, ({ request }) => claimant.device !== null && firstBackend(request).device === claimant.device);
  return preferred(alike, ({ request: { warmModels, diskModels } }) => [...warmModels, ...(diskModels ?? [])].includes(claimant.model));
}

function preferred<T>(all: T[], test: (each: T) => boolean): T[] {
  const some = all.filter(test);
  return some.length > 0 ? some : all;
}
