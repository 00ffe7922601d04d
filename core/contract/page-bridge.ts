/** Under this name of its `window` a page of the desktop app finds what carries its messages. */
export const PAGE_BRIDGE = 'hearthlend';

/** What the desktop app's preload gives the page: messages of the one channel, nothing else. They are structured clones. */
export interface PageBridge {
  send(message: unknown): void;
  /** The one listener for what comes; a second call replaces the first. */
  onMessage(listener: (message: unknown) => void): void;
}
