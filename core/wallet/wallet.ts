import { mkdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bytes32 } from '../contract/digest.ts';
import { asHearthlendError, HearthlendError } from '../contract/errors.ts';
import type { MessageRef } from '../contract/messages.ts';
import type { Address } from '../contract/receipt.ts';
import type { Sealed, SealKey } from '../contract/seal.ts';
import { createSerial } from '../contract/serial.ts';
import type { WalletAct } from '../contract/signer.ts';
import type { Described, Signed, ToSign } from '../contract/signing.ts';
import { storageError } from '../contract/storage-error.ts';
import type { SpendLimit, WalletStatus } from '../contract/wallet.ts';
import { sweepPartials } from './durable.ts';
import { readKeystore } from './keystore.ts';
import { pauseAfter } from './pause.ts';
import { shownSpending } from './signer/spending.ts';
import { type SignerChild, type SignerDone, SignerProcess } from './signer-process.ts';
import { checkedAddress, readWalletFile, type WalletFile, writeWalletFile } from './state.ts';

/** How this machine starts a signer, and whether what it starts can reach a network. */
export interface SignerPort {
  /** @throws SIGNER_START_FAILED where a part of the program is missing */
  start(): Promise<SignerChild>;
  offline: { sealed: boolean; reason: MessageRef | null };
}

export interface WalletOptions {
  /** The wallet's folder in the data folder. */
  folder: string;
  signer: SignerPort;
  /** Whom receipts of this start name. */
  readonly payee: Address;
  autoLockMinutes(): number;
  clock(): number;
  onChange(status: WalletStatus): void;
  /** What went wrong while nobody waited for it. */
  onFault(error: HearthlendError): void;
}

/** The wallet as the agent has it: its address, its lock, and the way to the signer. Never a secret: those pass through sealed. */
export interface Wallet {
  /** @throws KEYSTORE_INVALID */
  status(): WalletStatus;
  begin(): Promise<SealKey>;
  create(sealed: Sealed): Promise<{ status: WalletStatus; sealed: Sealed }>;
  import(sealed: Sealed): Promise<WalletStatus>;
  unlock(sealed: Sealed): Promise<WalletStatus>;
  reveal(sealed: Sealed): Promise<{ status: WalletStatus; sealed: Sealed }>;
  confirm(sealed: Sealed): Promise<WalletStatus>;
  limit(sealed: Sealed): Promise<WalletStatus>;
  /** What the password was typed for: a sealed approval counts once. @throws WALLET_MISSING, WALLET_PASSWORD_WRONG, SEAL_INVALID */
  approve(sealed: Sealed): Promise<Bytes32>;
  /** What may leave within a day, and what has. To be shown: the signer decides by what it has checked. */
  limits(): SpendLimit[];
  /** What the unlocked signer reads off something that is to be signed. @throws WALLET_MISSING, WALLET_LOCKED, TRANSACTION_REFUSED */
  describe(what: ToSign): Promise<Described>;
  /** Signs what means what was `seen`. @throws as `describe`, SPEND_LIMIT_REACHED */
  sign(what: ToSign, seen: string): Promise<Signed>;
  /** Kills the signer; resolves when it is gone. */
  lock(): Promise<WalletStatus>;
  watch(address: string | null): WalletStatus;
  keystore(): string;
  close(): Promise<void>;
}

const MINUTE_MS = 60_000;

/** @throws DATA_DIR_UNWRITABLE */
export function openWallet(options: WalletOptions): Wallet {
  const { folder, signer, clock } = options;
  sweepPartials(folder);
  let process: SignerProcess | null = null;
  let starting: Promise<SignerProcess> | null = null;
  let unlocked = false;
  let locksAt = 0;
  let atWork = 0;
  let failures = 0;
  const inTurn = createSerial();
  let timer: NodeJS.Timeout | undefined;

  function status(): WalletStatus {
    const keystore = readKeystore(folder);
    const { watch, backedUp } = readWalletFile(folder);
    const address = keystore?.address ?? watch;
    return {
      kind: keystore !== null ? 'own' : watch !== null ? 'watch' : 'none',
      address,
      unlocked,
      locksAt: unlocked ? locksAt : null,
      backedUp: keystore === null || backedUp === keystore.address,
      hasWords: keystore?.hasWords ?? false,
      payee: options.payee,
      offline: signer.offline,
    };
  }

  function changed(): WalletStatus {
    const next = status();
    options.onChange(next);
    return next;
  }

  /** For when nobody waits for the answer. */
  function tell(): void {
    try {
      changed();
    } catch (thrown) {
      options.onFault(asHearthlendError(thrown));
    }
  }

  /** Counts from now until the lock falls; a signer that only waits to be told a password is ended then as well. */
  function use(): void {
    clearTimeout(timer);
    const ms = options.autoLockMinutes() * MINUTE_MS;
    locksAt = clock() + ms;
    if (atWork > 0) return;
    timer = setTimeout(() => {
      lock().catch((thrown: unknown) => options.onFault(asHearthlendError(thrown)));
    }, ms).unref();
  }

  async function start(): Promise<SignerProcess> {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 });
    } catch (thrown) {
      throw storageError(folder, thrown);
    }
    const started = new SignerProcess(await signer.start());
    process = started;
    void started.gone.then(() => {
      if (process !== started) return;
      process = null;
      clearTimeout(timer);
      if (!unlocked) return;
      unlocked = false;
      tell();
    });
    await started.publicKey;
    return started;
  }

  async function running(): Promise<SignerProcess> {
    if (process !== null && !process.ended) return process;
    starting ??= start().finally(() => {
      starting = null;
    });
    return starting;
  }

  async function begin(): Promise<SealKey> {
    const { publicKey } = await running();
    use();
    return publicKey;
  }

  /**
   * Passes on what was sealed to the signer that runs: one started anew could not open it. One after the other, so that nobody guesses at
   * several passwords at once.
   */
  async function ask(act: WalletAct, sealed: Sealed): Promise<SignerDone> {
    const asked = process;
    if (asked === null || asked.ended) throw new HearthlendError('SEAL_INVALID');
    return inTurn(() => askNow(asked, () => asked.request(act, sealed)));
  }

  /** Asks the signer that was unlocked for what takes its key and no password. */
  async function askUnlocked<T>(request: (signer: SignerProcess) => Promise<T>): Promise<T> {
    const { kind } = status();
    if (kind !== 'own') throw new HearthlendError('WALLET_MISSING');
    return inTurn(async () => {
      const asked = process;
      if (asked === null || asked.ended || !unlocked) throw new HearthlendError('WALLET_LOCKED');
      return askNow(asked, () => request(asked));
    });
  }

  async function askNow<T>(asked: SignerProcess, request: () => Promise<T>): Promise<T> {
    // Here, where a lock doesn't wipe the count out.
    if (failures > 0) await sleep(pauseAfter(failures), undefined, { ref: false });
    if (asked.ended) throw new HearthlendError('WALLET_LOCKED');
    // It is in use until it has answered, however long that takes.
    clearTimeout(timer);
    atWork += 1;
    try {
      const done = await request();
      if (asked.ended) throw new HearthlendError('WALLET_LOCKED');
      failures = 0;
      unlocked = true;
      return done;
    } catch (thrown) {
      if (asHearthlendError(thrown).code === 'WALLET_PASSWORD_WRONG') failures += 1;
      throw thrown;
    } finally {
      atWork -= 1;
      if (!asked.ended) use();
    }
  }

  async function askForSecret(act: 'create' | 'reveal', sealed: Sealed): Promise<{ status: WalletStatus; sealed: Sealed }> {
    const { sealed: reply } = await ask(act, sealed);
    if (reply === null) throw new HearthlendError('SIGNER_PROTOCOL', { detail: 'it left out its answer' });
    return { status: changed(), sealed: reply };
  }

  async function lock(): Promise<WalletStatus> {
    clearTimeout(timer);
    // One that is just starting has to come up to be ended.
    await starting?.catch(() => undefined);
    await process?.kill();
    unlocked = false;
    return changed();
  }

  function keep(change: Partial<WalletFile>): void {
    writeWalletFile(folder, { ...readWalletFile(folder), ...change });
  }

  function refuseSecondWallet(): void {
    const { watch } = readWalletFile(folder);
    if (watch !== null) throw new HearthlendError('WALLET_EXISTS', { address: watch });
  }

  return {
    status,
    begin,
    create(sealed) {
      refuseSecondWallet();
      return askForSecret('create', sealed);
    },
    async import(sealed) {
      refuseSecondWallet();
      const { address } = await ask('import', sealed);
      // It came from outside, so it is kept there.
      keep({ backedUp: address });
      return changed();
    },
    async unlock(sealed) {
      await ask('unlock', sealed);
      return changed();
    },
    reveal: (sealed) => askForSecret('reveal', sealed),
    async confirm(sealed) {
      const { address } = await ask('confirm', sealed);
      keep({ backedUp: address });
      return changed();
    },
    async limit(sealed) {
      await ask('limit', sealed);
      return changed();
    },
    async approve(sealed) {
      const { approved } = await ask('approve', sealed);
      if (approved === null) throw new HearthlendError('SIGNER_PROTOCOL', { detail: 'it left out what was approved' });
      changed();
      return approved;
    },
    limits() {
      const { kind, address } = status();
      return kind === 'own' && address !== null ? shownSpending(folder, address, clock()) : [];
    },
    async describe(what) {
      const { words, seen } = await askUnlocked((signer) => signer.describe(what));
      return { words, seen };
    },
    async sign(what, wanted) {
      const { words, seen, signed } = await askUnlocked((signer) => signer.sign(what, wanted));
      return { words, seen, signed };
    },
    lock,
    watch(typed) {
      const keystore = readKeystore(folder);
      if (keystore !== null) throw new HearthlendError('WALLET_EXISTS', { address: keystore.address });
      const address = typed === null ? null : checkedAddress(typed);
      try {
        mkdirSync(folder, { recursive: true, mode: 0o700 });
      } catch (thrown) {
        throw storageError(folder, thrown);
      }
      keep({ watch: address });
      return changed();
    },
    keystore() {
      const keystore = readKeystore(folder);
      if (keystore === null) throw new HearthlendError('WALLET_MISSING');
      return keystore.json;
    },
    async close() {
      clearTimeout(timer);
      await starting?.catch(() => undefined);
      await process?.kill();
    },
  };
}
