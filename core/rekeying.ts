import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import type { SignedDelegation, SignedRevocation } from './contract/delegation.ts';
import { delegationDigest, delegationFault, revocationDigest, signedByWallet } from './contract/delegation-hash.ts';
import { HearthlendError } from './contract/errors.ts';
import type { AgreedClaim, IdentityStatus, KeyClaim, RekeyPlan } from './contract/identity.ts';
import type { Address } from './contract/receipt.ts';
import type { Handlers } from './contract/rpc.ts';
import { openDelegations } from './delegations.ts';
import type { Engine } from './engine.ts';
import { nextIdentity, type PresentIdentity, replaceIdentity } from './identity/identity.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { Log } from './log/log.ts';
import type { Wallet } from './wallet/wallet.ts';

/** How long what is handed in may take to be accepted and signed for, once nothing is computed any more. */
const PATIENCE_MS = 20_000;
const LOOK_MS = 100;

interface RekeyingParts {
  dataDir: string;
  identity: PresentIdentity;
  ledger: Pick<Ledger, 'rekey' | 'unfinished' | 'receiptHead' | 'lastBatched'>;
  engine: Pick<Engine, 'hold' | 'started' | 'networks' | 'coordinator' | 'screen'>;
  wallet: Pick<Wallet, 'status' | 'sign'>;
  payee(): Address;
  clock(): number;
  log: Log;
  show(): Promise<IdentityStatus>;
}

type RekeyCalls = Extract<keyof Handlers, `identity.rekey${string}`>;

/**
 * A new worker key in the place of the old one. Everything before the one step that puts it there can be done again or be left; everything after it
 * follows from what is on the disk, at once or at the next start: what the ledger says, what the wallet said, and each network as it can be reached.
 */
export function rekeyHandlers(parts: RekeyingParts): Pick<Handlers, RekeyCalls> {
  const { dataDir, identity, ledger, engine, wallet, clock, log } = parts;
  const path = join(dataDir, 'identity.json');
  const store = openDelegations(dataDir);
  const seconds = () => Math.floor(clock() / 1000);
  settle();

  /** What the wallet said for the key that followed counts from when that is the one. */
  function settle(): void {
    const { following, revocations } = store.read();
    if (following === undefined || !same(following.delegation.delegation.worker, identity.address)) return;
    const { delegation, revocation } = following;
    store.write({ delegation, revocations: revocation === null ? revocations : [...revocations, revocation] });
  }

  function plan(days: number): RekeyPlan {
    const next = nextIdentity(path);
    const names = { from: identity.address, to: next.address };
    const held = store.read().delegation?.delegation;
    if (held === undefined || wallet.status().kind === 'none') return { ...names, claims: [] };
    const nonce = Math.max(seconds(), held.nonce + 1);
    const notBefore = seconds();
    const term = { networkKey: held.networkKey, scope: 'earn' as const, notBefore, expiry: notBefore + days * 86_400 };
    return {
      ...names,
      claims: [
        { kind: 'delegation', delegation: { wallet: held.wallet, worker: next.address, ...term, nonce } },
        { kind: 'revocation', revocation: { wallet: held.wallet, worker: identity.address, nonce } },
      ],
    };
  }

  /** @throws DELEGATION_INVALID where the wallet of the old one didn't sign it, or it is of other workers */
  async function signed(agreed: readonly AgreedClaim[], to: Address) {
    const wanted = store.read().delegation?.delegation;
    let delegation: SignedDelegation | null = null;
    let revocation: SignedRevocation | null = null;
    for (const each of agreed) {
      const { claim } = each;
      requireRight(claim, wanted?.wallet ?? null, to);
      const signature = 'signature' in each ? each.signature : (await wallet.sign(claim, each.seen)).signed;
      const digest = claim.kind === 'delegation' ? delegationDigest(claim.delegation) : revocationDigest(claim.revocation);
      if (wanted === undefined || !signedByWallet(digest, signature, wanted.wallet)) {
        throw new HearthlendError('DELEGATION_INVALID', { detail: 'the wallet did not sign it' });
      }
      if (claim.kind === 'delegation') delegation = { delegation: claim.delegation, signature };
      else revocation = { revocation: claim.revocation, signature };
    }
    if (wanted !== undefined && delegation === null) throw new HearthlendError('REKEY_UNDELEGATED');
    return delegation === null ? null : { delegation, revocation };
  }

  function requireRight(claim: KeyClaim, walletAddress: Address | null, to: Address): void {
    const invalid = (detail: string) => new HearthlendError('DELEGATION_INVALID', { detail });
    const said = claim.kind === 'delegation' ? claim.delegation : claim.revocation;
    if (walletAddress === null || !same(said.wallet, walletAddress)) throw invalid(`it is of the wallet ${said.wallet}`);
    if (claim.kind === 'revocation') {
      if (!same(said.worker, identity.address)) throw invalid('other-worker');
      return;
    }
    const asked = { worker: to, networkKey: claim.delegation.networkKey, now: seconds(), revokedUpTo: null };
    const fault = delegationFault(claim.delegation, asked);
    if (fault !== null) throw invalid(fault);
  }

  /** What the old key has still to do, and nobody else could: REKEY_BUSY, REKEY_UNSIGNED; null where there is nothing. */
  function stillToDo(): HearthlendError | null {
    const networks = engine.networks.joined().map(({ id }) => id);
    const open = ledger.unfinished().find(({ network }) => network === engine.coordinator.id || networks.includes(network));
    if (open !== undefined) return new HearthlendError('REKEY_BUSY', { network: open.network });
    for (const network of networks) {
      const receipts = ledger.receiptHead(network).sequence - ledger.lastBatched(network);
      if (receipts > 0) return new HearthlendError('REKEY_UNSIGNED', { network, receipts });
    }
    return null;
  }

  /** Networks answer in their own time, each as it pleases. */
  async function handedIn(): Promise<void> {
    // Where nothing works, nothing is to be waited for.
    const until = performance.now() + (engine.started() ? PATIENCE_MS : 0);
    while (stillToDo() !== null && performance.now() < until) await setTimeout(LOOK_MS);
  }

  async function rekey(agreed: readonly AgreedClaim[]): Promise<void> {
    const next = nextIdentity(path);
    const said = await signed(agreed, next.address);
    const goOn = await engine.hold();
    try {
      await handedIn();
      await engine.networks.apart(async () => {
        const open = stillToDo();
        if (open !== null) throw open;
        const from = identity.address;
        if (said !== null) store.write({ ...store.read(), following: said });
        engine.networks.noteWorker();
        // From here on it is done: whatever a crash keeps from following is made good at the next start.
        const now = replaceIdentity(path, { keep: same(parts.payee(), from) });
        ledger.rekey(now, now.successions, clock());
        identity.become(now);
        settle();
        const revocation = said?.revocation ?? null;
        if (revocation !== null) engine.networks.tellWalletSaid({ kind: 'revocation', ...revocation });
        log('info', 'worker key replaced', { from, to: now.address });
      });
    } finally {
      goOn();
    }
    engine.screen.touch('worker');
  }

  return {
    'identity.rekey-plan': async ({ days }) => plan(days),
    async 'identity.rekey'({ agreed }) {
      await rekey(agreed);
      return parts.show();
    },
  };
}

function same(a: Address, b: Address): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
