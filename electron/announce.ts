/** What whoever started the desktop shell, `npm start` above all, reads on its standard output: one JSON object a line. */
export type Announcement =
  | { event: 'started'; pid: number; version: string; address: string }
  /** The page is in the window and has its snapshot. */
  | { event: 'ready' }
  /** Another one runs on this data folder and comes to the front. */
  | { event: 'handed-over' }
  | { event: 'failed'; code: string; message: string; next: string };

export type Announce = (announcement: Announcement) => void;

/** Announces on a stream. A reader that has gone keeps nobody from working: its absence is no error. */
export function announceOn(stream: Pick<NodeJS.WriteStream, 'write' | 'on'>): Announce {
  stream.on('error', () => undefined);
  return (announcement) => void stream.write(`${JSON.stringify(announcement)}\n`);
}
