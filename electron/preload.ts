import { contextBridge, ipcRenderer } from 'electron';
import { PAGE_BRIDGE, type PageBridge } from '../core/contract/page-bridge.ts';
import { CHANNEL } from './bridge/channel.ts';

// All that a page of ours gets beyond what a page of the web has: the one channel, by its name alone. Neither ipcRenderer nor an event of it
// is ever handed over, since either would open every other channel.
let take: (message: unknown) => void = () => undefined;
ipcRenderer.on(CHANNEL, (_event, message: unknown) => take(message));

const bridge: PageBridge = {
  send: (message) => ipcRenderer.send(CHANNEL, message),
  onMessage: (listener) => {
    take = listener;
  },
};
contextBridge.exposeInMainWorld(PAGE_BRIDGE, bridge);
