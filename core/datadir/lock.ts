/** Held by the one agent of a data folder; the system drops it when its process ends, however it ends. */
export interface DataDirLock {
  release(): void;
}

/** @throws AGENT_RUNNING with the holder's process id, DATA_DIR_UNWRITABLE */
export declare function lockDataDir(folder: string): DataDirLock;
