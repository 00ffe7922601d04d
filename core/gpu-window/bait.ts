import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { PageBait } from '../contract/gpu-window.ts';

/** What lies open on this machine for a page to reach, while it is tried. */
export interface WindowBait extends PageBait {
  /** Whether a request with this way's name came in. */
  visited(name: string): boolean;
  /** Connections and datagrams at `port` so far. */
  arrived(): number;
  /** Settles once this holds, which is looked at whenever something arrives, or when the time is over. */
  until(holds: () => boolean, ms: number): Promise<void>;
  close(): Promise<void>;
}

/** @param folder where the file lies that the page is not to read @param pages what the server has beside bait, by path */
export async function layWindowBait(
  folder: string,
  pages: ReadonlyMap<string, { type: string; body: Uint8Array }> = new Map(),
): Promise<WindowBait> {
  const visits = new Set<string>();
  const sockets = new Set<Socket>();
  let arrived = 0;
  const waiting = new Set<() => void>();
  const tell = () => {
    for (const look of [...waiting]) look();
  };
  const server = createHttpServer((request, response) => {
    const path = request.url ?? '/';
    visits.add(path.slice(1));
    tell();
    const page = pages.get(path);
    const type = page?.type ?? (/script|import|module|worklet/.test(path) ? 'text/javascript' : 'text/html');
    response.writeHead(200, { 'content-type': type, 'access-control-allow-origin': '*' });
    response.end(page?.body ?? '');
  });
  const counter = createTcpServer((socket) => {
    arrived += 1;
    tell();
    socket.on('error', () => socket.destroy());
    socket.destroy();
  });
  for (const each of [server, counter]) {
    each.on('connection', (socket: Socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
    });
  }
  // A handshake shows a visit as well as a request does.
  server.on('upgrade', (request, socket) => {
    visits.add((request.url ?? '/').slice(1));
    tell();
    socket.destroy();
  });
  const datagrams = createSocket('udp4');
  datagrams.on('message', () => {
    arrived += 1;
    tell();
  });
  const listening = [once(server, 'listening'), once(counter, 'listening')];
  server.listen(0, '127.0.0.1');
  counter.listen(0, '127.0.0.1');
  await Promise.all(listening);
  const { port } = counter.address() as AddressInfo;
  datagrams.bind(port, '127.0.0.1');
  await once(datagrams, 'listening');
  const path = join(folder, 'bait.txt');
  await writeFile(path, 'bait');
  return {
    server: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connectUrl: `http://127.0.0.1:${port}`,
    port,
    file: pathToFileURL(path).href,
    visited: (name) => visits.has(name),
    arrived: () => arrived,
    until: (holds, ms) =>
      new Promise((resolve) => {
        const settle = () => {
          clearTimeout(timer);
          waiting.delete(look);
          resolve();
        };
        const look = () => {
          if (holds()) settle();
        };
        const timer = setTimeout(settle, ms);
        waiting.add(look);
        look();
      }),
    async close() {
      for (const socket of sockets) socket.destroy();
      datagrams.close();
      await Promise.all([server, counter].map((each) => new Promise((resolve) => each.close(resolve))));
      await rm(path, { force: true });
    },
  };
}
