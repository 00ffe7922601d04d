import { PAGE_BRIDGE, type PageBridge } from '../../core/contract/page-bridge.ts';
import type { Transport } from '../../core/contract/rpc-client.ts';

/** The desktop app's bridge; null in a browser. */
export function findPageBridge(page: object): PageBridge | null {
  return (page as { [PAGE_BRIDGE]?: PageBridge })[PAGE_BRIDGE] ?? null;
}

/** Speaks through the desktop app's preload. There is nobody to let in: the page is the app's own, and ends with it. */
export function openElectronIpc(bridge: PageBridge): Transport {
  let closed: () => void = () => undefined;
  return {
    send: (message) => bridge.send(message),
    onMessage: (listener) => bridge.onMessage(listener),
    onClose: (listener) => {
      closed = listener;
    },
    close: () => {
      bridge.onMessage(() => undefined);
      closed();
    },
  };
}
