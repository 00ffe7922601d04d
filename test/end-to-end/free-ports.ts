import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';

/** The first of four free ports that follow each other, as a coordinator takes them. */
export async function freePorts(): Promise<number> {
  for (;;) {
    const servers: Server[] = [];
    const listen = async (port: number) => {
      const server = createServer();
      servers.push(server);
      await once(server.listen(port, '0.0.0.0'), 'listening');
      return (server.address() as AddressInfo).port;
    };
    try {
      const port = await listen(0);
      for (const after of [1, 2, 3]) await listen(port + after);
      return port;
    } catch {
      // One of them is taken.
    } finally {
      for (const server of servers) server.close();
    }
  }
}
