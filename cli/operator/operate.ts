import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import { join } from 'node:path';
import { readSecret, writeSecret } from '../../coordinator/files.ts';
import { credentialsOf } from '../../coordinator/nats/keys.ts';
import { findNatsServer } from '../../coordinator/nats/program.ts';
import { adoptNetworkFile, CredentialsFile, openNetworkFile, openServerKeys, TermsFile } from '../../coordinator/operating/network.ts';
import { operateNetwork } from '../../coordinator/operating/operate.ts';
import { openOwnNats } from '../../coordinator/operating/own-nats.ts';
import { openAuthority } from '../../coordinator/tls/authority.ts';
import { everyAddress, reachableNames } from '../../coordinator/tls/names.ts';
import { HearthlendError } from '../../core/contract/errors.ts';
import { storageError } from '../../core/contract/storage-error.ts';
import { lockDataDir } from '../../core/datadir/lock.ts';
import { openDataDir } from '../../core/datadir/open.ts';
import { openIdentity } from '../../core/identity/identity.ts';
import { openLog } from '../../core/log/log.ts';
import { removeEndpoint, writeEndpoint } from '../../core/loopback/endpoint.ts';
import { createInspect } from '../../core/models/vetting/vet.ts';
import { openReference } from '../../core/reference.ts';
import { createFolderModels } from '../../core/serving.ts';
import { openSplits, SPLITS_FOLDER } from '../../core/splits.ts';
import { openSplitting } from '../../core/splitting.ts';
import { appPorts } from '../ports/app-ports.ts';
import type { Installation } from '../ports/installation.ts';
import { chainOf, escrowReader, walletReader } from './chain.ts';
import { serveOperatorPage } from './page.ts';
import type { Operated, OperateRequest } from './request.ts';

const MAX_TERMS_BYTES = 256 * 1024;
/** What the reference may take of this machine's memory for models. */
const MODEL_MEMORY_BYTES = Math.max(4 * 2 ** 30, Math.floor(totalmem() / 2));
/** What models in stages may take of its disk; each is cut once, and the one used least lately goes first. */
const SPLITS_BYTES = 128 * 2 ** 30;

/**
 * Runs a coordinator in this process, on the keys of its folder.
 * @throws COORDINATOR_RUNNING, COORDINATOR_FILE_INVALID, TERMS_INVALID, NATS_MISSING, and what operateNetwork throws
 */
export async function operate(request: OperateRequest, installation: Installation): Promise<Operated> {
  const { dir, port, advertise, version } = request;
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    openDataDir(join(dir, '..'));
    mkdirSync(dir, { recursive: true, mode: 0o700 });
    const lock = lockFolder(dir);
    closers.push(() => lock.release());
    const log = openLog(join(dir, 'coordinator.log'), Date.now, (line) => process.stderr.write(`${line}\n`));
    const given = request.nats === null ? null : readCredentials(request.nats.credentials);
    if (given?.network !== undefined) adopt(dir, given.network);
    keepCluster(dir, given);
    const signer = openIdentity(join(dir, 'identity.json'));
    const network = openNetworkFile(dir, signer.address, {
      name: request.name,
      operator: request.operator,
      terms: request.terms === null ? null : readTerms(request.terms),
    });
    const authority = openAuthority(join(dir, 'tls'), network.id, reachableNames(advertise), Date.now(), given?.network?.authority);
    const { parts } = appPorts({ dataDir: dir, installation });
    const {
      reference,
      wall,
      close: closeReference,
    } = await openReference({
      ...{ dir, parts, log, modelMemoryBytes: MODEL_MEMORY_BYTES, clock: Date.now },
    });
    closers.push(closeReference);

    const host = everyAddress();
    const after = (offset: number) => (port === 0 ? 0 : port + offset);
    let nats: Parameters<typeof operateNetwork>[0]['nats'];
    let credentials = given?.nats;
    if (request.nats === null) {
      const keys = openServerKeys(dir);
      credentials = credentialsOf(keys);
      const own = await openOwnNats({
        ...{ dir, keys, authority, log, host, port: after(1), websocketPort: request.websocket ? after(2) : null },
        path: findNatsServer(process.env, process.platform),
      });
      closers.push(own.stop);
      nats = { own };
    } else {
      const { servers } = request.nats;
      // A cluster under a certificate that every system trusts needs none named; one of another coordinator has the network's.
      nats = { cluster: { servers, ca: given?.ca ?? given?.network?.authority.certificate ?? null } };
    }
    const { settlement } = network.terms;
    const chain = chainOf(dir, settlement?.chainId ?? null);
    const operating = await operateNetwork({
      ...{ dir, version, network, signer, reference, authority, nats, advertise, port, log, clock: Date.now },
      credentials: credentials as NonNullable<typeof credentials>,
      inspect: createInspect(),
      splitter: openSplitting({
        ...{ splits: openSplits(join(dir, SPLITS_FOLDER), () => SPLITS_BYTES), reference },
        modelMemoryBytes: () => MODEL_MEMORY_BYTES,
      }).splitter,
      models: createFolderModels(request.models.length > 0 ? request.models : [parts.practiceModel], Date.now()),
      host,
      controlPort: after(3),
      announced: request.announced,
      restoreLog: request.restoreLog,
      readEscrow: escrowReader(chain),
      contractAccepts: walletReader(chain),
      servePage: (handlers, onChange) => serveOperatorPage({ dir, uiFolder: installation.uiFolder, handlers, onChange }),
    });
    closers.push(operating.close);
    const { port: controlPort, token } = operating.control;
    await writeEndpoint(dir, { pid: process.pid, version, port: controlPort, token, startedAt: Date.now() });
    closers.push(() => removeEndpoint(dir, process.pid));
    return { ...operating, wall: wall.wall, close };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}

function lockFolder(dir: string): ReturnType<typeof lockDataDir> {
  try {
    return lockDataDir(dir);
  } catch (thrown) {
    if (!(thrown instanceof HearthlendError) || thrown.code !== 'AGENT_RUNNING') throw thrown;
    throw new HearthlendError('COORDINATOR_RUNNING', thrown.params, { cause: thrown });
  }
}

function readTerms(path: string) {
  const invalid = (detail: string) => new HearthlendError('TERMS_INVALID', { path, detail });
  let content: unknown;
  try {
    if (statSync(path).size > MAX_TERMS_BYTES) throw invalid('it is too large');
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (thrown) {
    if (thrown instanceof HearthlendError) throw thrown;
    throw invalid(thrown instanceof SyntaxError ? thrown.message : ((thrown as NodeJS.ErrnoException).code ?? String(thrown)));
  }
  const terms = TermsFile.safeParse(content);
  if (terms.success) return terms.data;
  const [issue] = terms.error.issues;
  throw invalid(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? ''}`);
}

function readCredentials(path: string): CredentialsFile {
  const credentials = readSecret(path, CredentialsFile);
  if (credentials === null) throw new HearthlendError('FILE_UNREADABLE', { path, detail: 'ENOENT' });
  return credentials;
}

/** Another coordinator's network, with the keys that all of its coordinators have. */
function adopt(dir: string, { network, identity }: NonNullable<CredentialsFile['network']>): void {
  adoptNetworkFile(dir, network);
  try {
    writeSecret(join(dir, 'identity.json'), identity);
  } catch (thrown) {
    throw storageError(dir, thrown);
  }
}

const Cluster = CredentialsFile.pick({ nats: true, ca: true });
const clusterPath = (dir: string) => join(dir, 'cluster.json');

/** What opened the cluster that this coordinator is on: it is what others of the network need, too. Nothing where NATS is our own. */
function keepCluster(dir: string, given: CredentialsFile | null): void {
  if (given === null) {
    rmSync(clusterPath(dir), { force: true });
    return;
  }
  // Of another coordinator's own server the certificate is the network's.
  const ca = given.ca ?? given.network?.authority.certificate;
  writeSecret(clusterPath(dir), `${JSON.stringify({ nats: given.nats, ...(ca === undefined ? {} : { ca }) })}\n`);
}

/** What another coordinator of the network of this folder needs: the file for its `--nats-creds`. @throws COORDINATOR_FILE_INVALID */
export function shareNetwork(dir: string, out: string): void {
  const file = openSharedNetwork(dir);
  writeSecret(out, `${JSON.stringify(file)}\n`);
}

function openSharedNetwork(dir: string): CredentialsFile {
  const signer = openIdentity(join(dir, 'identity.json'));
  const network = openNetworkFile(dir, signer.address, { name: null, operator: null, terms: null });
  return CredentialsFile.parse({
    type: 'hearthlend coordinator credentials',
    version: 1,
    ...(readSecret(clusterPath(dir), Cluster) ?? { nats: credentialsOf(openServerKeys(dir)) }),
    network: {
      network,
      identity: readFileSync(join(dir, 'identity.json'), 'utf8'),
      authority: openAuthority(join(dir, 'tls'), network.id, ['localhost'], Date.now()).secret,
    },
  });
}
