import { isOurPage } from '../pages/address.ts';

/** What is known of who sent a message. */
export interface Sender {
  /** Id of the page's WebContents. */
  pageId: number;
  /** Null where the frame is gone already. */
  frame: { url: string; top: boolean } | null;
}

/** Whether a message comes from our page itself: our window's, at our address, and no frame inside it. */
export function isTrusted({ pageId, frame }: Sender, ourPageId: number | null): boolean {
  return ourPageId !== null && pageId === ourPageId && frame?.top === true && isOurPage(frame.url);
}
