import type { MessageParams } from '../core/contract/messages.ts';

/** What the coordinator notes for whoever operates it; no answer depends on it. */
export type Log = (level: 'info' | 'warn' | 'error', event: string, detail: MessageParams) => void;
