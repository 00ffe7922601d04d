import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BreakOutTask } from '../../contract/break-out.ts';

/** Listeners that answer whoever reaches them, so that an attempt from inside a sandbox fails for no other reason than the sandbox. */
export interface Bait {
  listeners: BreakOutTask['listeners'];
  /** Attempts that came through, counted on this side. */
  visits(): number;
  close(): Promise<void>;
}

const ADDRESSES_MAX = 16;

/** Listens on every address of this machine and, where there are such, on a socket file and an abstract name. They answer, and give nothing away. */
export async function layBait(token: string): Promise<Bait> {
  let visits = 0;
  const folder = mkdtempSync(join(tmpdir(), 'hearthlend-bait-'));
  const unixPath = process.platform === 'win32' ? null : join(folder, 'socket');
  const abstractName = process.platform === 'linux' ? `hearthlend-${token}` : null;
  const servers: Server[] = [];
  const open = new Set<{ destroy(): void }>();
  const listen = async (options: { port?: number; host?: string; path?: string }): Promise<Server> => {
    const server = createServer((socket) => {
      visits += 1;
      // Whoever reached it may keep the line open; what comes over it is let go.
      open.add(socket);
      socket.on('close', () => open.delete(socket));
      socket.on('error', () => socket.destroy());
      socket.resume();
      socket.end('HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n');
    });
    servers.push(server);
    server.listen(options);
    await once(server, 'listening');
    return server;
  };
  const close = async (): Promise<void> => {
    udp?.close();
    for (const socket of open) socket.destroy();
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
    rmSync(folder, { recursive: true, force: true });
  };
  let udp: Socket | undefined;
  try {
    const tcp = await listen({ port: 0 });
    if (unixPath !== null) await listen({ path: unixPath });
    if (abstractName !== null) await listen({ path: `\0${abstractName}` });
    udp = await listenUdp(() => {
      visits += 1;
    });
    const addresses = Object.values(networkInterfaces())
      .flatMap((entries) => entries ?? [])
      // An address with a scope can't be named without its device.
      .filter((entry) => (entry.family === 'IPv4' || udp?.address().family === 'IPv6') && !entry.scopeid)
      .map((entry) => entry.address)
      .slice(0, ADDRESSES_MAX);
    const { port } = tcp.address() as { port: number };
    return {
      listeners: { tcpPort: port, udpPort: udp.address().port, addresses, unixPath, abstractName },
      visits: () => visits,
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

/** On IPv6 and IPv4 at once where the machine has both. Sends back what comes, dressed as a name server's "no such name". */
async function listenUdp(onVisit: () => void): Promise<Socket> {
  const open = async (type: 'udp4' | 'udp6'): Promise<Socket> => {
    const socket = createSocket(type);
    socket.on('message', (bytes, from) => {
      onVisit();
      if (bytes.length > 3) {
        // RFC 1035, section 4.1.1: QR set, RCODE 3.
        bytes.writeUInt8(bytes.readUInt8(2) | 0x80, 2);
        bytes.writeUInt8((bytes.readUInt8(3) & 0xf0) | 3, 3);
      }
      socket.send(bytes, from.port, from.address, (error) => {
        if (error) socket.emit('error', error);
      });
    });
    try {
      socket.bind(0);
      await once(socket, 'listening');
      // An answer that can't be sent is the asker's loss.
      socket.on('error', () => undefined);
      return socket;
    } catch (error) {
      socket.close();
      throw error;
    }
  };
  try {
    return await open('udp6');
  } catch {
    // A machine without IPv6.
    return open('udp4');
  }
}
