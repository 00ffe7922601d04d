import { ipcRenderer } from 'electron';
import { PORT_CHANNEL } from './channel.ts';

// All that the GPU window's page gets beyond what a page of the web has: the one port, once.
ipcRenderer.once(PORT_CHANNEL, ({ ports }) => {
  (globalThis as unknown as { postMessage(message: string, target: string, ports: readonly unknown[]): void }).postMessage(
    'port',
    '*',
    ports,
  );
});
