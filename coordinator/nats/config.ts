import { MAX_PAYLOAD_BYTES } from './claims.ts';
import type { ServerJwts } from './keys.ts';

export interface ServerConfig {
  /** Address to listen on. */
  host: string;
  /** -1: the system chooses. */
  port: number;
  /** A port for WebSockets; null: none. */
  websocketPort: number | null;
  tls: { certificate: string; key: string };
  jetstreamFolder: string;
  pidFile: string;
  maxConnections: number;
  jwts: ServerJwts;
}

/** What a client that doesn't read may make the server hold for it. Source: nats-server's `max_pending`, 64 MB unless told otherwise. */
const MAX_PENDING_BYTES = 8 * 2 ** 20;

/** The config file of nats-server, 2.9 or newer. Strings are JSON's, which its format takes. */
export function serverConfig(config: ServerConfig): string {
  const text = (value: string) => JSON.stringify(value);
  const { certificate, key } = config.tls;
  const tls = `tls { cert_file: ${text(certificate)}, key_file: ${text(key)}, timeout: 5 }`;
  const lines = [
    `host: ${text(config.host)}`,
    `port: ${config.port}`,
    'server_name: hearthlend',
    `pid_file: ${text(config.pidFile)}`,
    tls,
    `max_payload: ${MAX_PAYLOAD_BYTES}`,
    `max_pending: ${MAX_PENDING_BYTES}`,
    `max_connections: ${config.maxConnections}`,
    'write_deadline: "5s"',
    'ping_interval: "20s"',
    'ping_max: 2',
    'authorization { timeout: 5 }',
    'debug: false',
    'trace: false',
    `jetstream { store_dir: ${text(config.jetstreamFolder)}, max_mem: 64MB }`,
    `operator: ${text(config.jwts.operator)}`,
    `system_account: ${text(config.jwts.systemAccount)}`,
    'resolver: MEMORY',
    'resolver_preload {',
    ...Object.entries(config.jwts.accounts).map(([account, jwt]) => `  ${account}: ${text(jwt)}`),
    '}',
  ];
  if (config.websocketPort !== null) {
    lines.push(`websocket { host: ${text(config.host)}, port: ${config.websocketPort}, ${tls}, handshake_timeout: "5s" }`);
  }
  return `${lines.join('\n')}\n`;
}
