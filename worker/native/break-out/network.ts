import { createSocket } from 'node:dgram';
import { lookup, Resolver } from 'node:dns';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { connect, isIPv6, type NetConnectOpts } from 'node:net';
import { join } from 'node:path';
import type { WayOut } from './attempt.ts';

/** Where programs of the user and of the system listen: D-Bus, Docker, X11, Wayland, PipeWire, SSH and GnuPG agents. */
const SOCKET_FOLDERS = ['/run', '/run/dbus', '/run/user/1000', '/run/user/0', '/tmp/.X11-unix', '/tmp'];
/** The abstract namespace has no files that a mount could hide. */
const ABSTRACT_NAMES = ['\0/tmp/.X11-unix/X0', '\0/tmp/.X11-unix/X1', '\0/tmp/dbus-session'];
/** Devices that the kernel puts into every new network namespace while such a module is loaded. */
const KERNEL_DEVICES = /^(lo|tunl0|sit0|gre0|gretap0|erspan0|ip_vti0|ip6tnl0|ip6gre0|ip6_vti0)$/;
const SOCKETS_MAX = 64;

export const networkWays: WayOut[] = [
  {
    name: 'connect-tcp-loopback',
    kind: 'network',
    wall: 'system-calls',
    reach: ({ listeners }, signal) =>
      firstConnected(
        listeners.addresses.filter(isLoopback).map((host) => ({ host, port: listeners.tcpPort })),
        signal,
      ),
  },
  {
    name: 'connect-tcp-own-address',
    kind: 'network',
    wall: 'system-calls',
    reach: ({ listeners }, signal) =>
      firstConnected(
        listeners.addresses.filter((host) => !isLoopback(host)).map((host) => ({ host, port: listeners.tcpPort })),
        signal,
      ),
  },
  {
    name: 'connect-tcp-internet',
    kind: 'network',
    wall: 'system-calls',
    // Cloudflare's and Quad9's name servers: addresses that answer from anywhere.
    reach: (_task, signal) =>
      firstConnected(
        [
          { host: '1.1.1.1', port: 443 },
          { host: '9.9.9.9', port: 443 },
        ],
        signal,
      ),
  },
  {
    name: 'ask-loopback-ui',
    kind: 'network',
    wall: 'system-calls',
    // As a page of the user's own browser would: the agent's pages are served at such an address.
    reach: async ({ listeners }, signal) => `it answered ${(await fetch(`http://127.0.0.1:${listeners.tcpPort}/`, { signal })).status}`,
  },
  {
    name: 'send-udp',
    kind: 'network',
    wall: 'system-calls',
    reach: ({ listeners }, signal) => firstOf(listeners.addresses, (host) => exchangeDatagram(host, listeners.udpPort, signal)),
  },
  {
    name: 'ask-name-server',
    kind: 'network',
    wall: 'system-calls',
    reach: ({ listeners }, signal) => {
      const servers = listeners.addresses.filter(isLoopback).map((host) => `${isIPv6(host) ? `[${host}]` : host}:${listeners.udpPort}`);
      return servers.length === 0 ? null : askNameServer(servers, signal);
    },
  },
  {
    name: 'look-up-name',
    kind: 'network',
    wall: 'system-calls',
    reach: () =>
      new Promise((resolve, reject) => {
        lookup('example.com', (error, address) => (error ? reject(error) : resolve(`example.com is ${address}`)));
      }),
  },
  {
    name: 'connect-unix-socket',
    kind: 'network',
    wall: 'system-calls',
    reach: ({ listeners }, signal) => (listeners.unixPath === null ? null : firstConnected([{ path: listeners.unixPath }], signal)),
  },
  {
    name: 'connect-abstract-socket',
    kind: 'network',
    wall: 'system-calls',
    reach: ({ listeners }, signal) =>
      listeners.abstractName === null ? null : firstConnected([{ path: `\0${listeners.abstractName}` }], signal),
  },
  {
    name: 'connect-service-socket',
    kind: 'network',
    wall: 'system-calls',
    reach: (_task, signal) =>
      firstConnected(
        [...SOCKET_FOLDERS.flatMap(socketsIn), ...ABSTRACT_NAMES].slice(0, SOCKETS_MAX).map((path) => ({ path })),
        signal,
      ),
  },
  {
    name: 'see-network-devices',
    kind: 'network',
    wall: 'namespaces',
    reach: () => {
      const devices = [...readFileSync('/proc/net/dev', 'utf8').matchAll(/^\s*([^\s:]+):/gm)].map((match) => match[1] ?? '');
      const outward = devices.filter((name) => !KERNEL_DEVICES.test(name));
      return outward.length === 0 ? null : `saw ${outward.join(', ')}`;
    },
  },
  {
    name: 'see-connections',
    kind: 'network',
    wall: 'namespaces',
    reach: () => {
      const lines = ['tcp', 'tcp6', 'udp', 'udp6', 'unix'].map(
        (table) => readFileSync(`/proc/net/${table}`, 'utf8').trimEnd().split('\n').length - 1,
      );
      const count = lines.reduce((sum, each) => sum + each, 0);
      return count === 0 ? null : `saw ${count} sockets of others`;
    },
  },
];

function isLoopback(host: string): boolean {
  return host === '::1' || host.startsWith('127.');
}

function firstConnected(targets: NetConnectOpts[], signal: AbortSignal): Promise<string | null> {
  return firstOf(targets, async (target) => {
    const socket = connect(target);
    try {
      await once(socket, 'connect', { signal });
      return `connected to ${JSON.stringify('path' in target ? target.path : `${target.host}:${target.port}`)}`;
    } finally {
      socket.destroy();
    }
  });
}

/** All at once: the first that works. Throws the last refusal where none does; null where there is none to try. */
async function firstOf<T>(targets: T[], use: (target: T) => Promise<string>): Promise<string | null> {
  if (targets.length === 0) return null;
  return Promise.any(targets.map(use)).catch((error: AggregateError) => {
    throw error.errors.at(-1);
  });
}

async function exchangeDatagram(host: string, port: number, signal: AbortSignal): Promise<string> {
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4');
  try {
    const answered = once(socket, 'message', { signal });
    socket.send('a datagram of the probe', port, host, (error) => {
      if (error) socket.emit('error', error);
    });
    await answered;
    return `${host}:${port} answered`;
  } finally {
    socket.close();
  }
}

/** Any answer counts, also that there is no such name. */
function askNameServer(servers: string[], signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const resolver = new Resolver({ timeout: 500, tries: 1 });
    signal.addEventListener('abort', () => resolver.cancel());
    resolver.setServers(servers);
    resolver.resolve4('hearthlend.invalid', (error) => {
      if (error === null || error.code === 'ENOTFOUND' || error.code === 'ENODATA') resolve(`${servers.join(', ')} answered`);
      else reject(error);
    });
  });
}

function socketsIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => (entry.isSocket() ? [join(folder, entry.name)] : []));
  } catch {
    // Not there, or not ours to list: then there is no socket to try.
    return [];
  }
}
