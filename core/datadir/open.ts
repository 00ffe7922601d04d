export interface DataDirQuestion {
  /** What `--data-dir` said. */
  option: string | undefined;
  env: Readonly<Record<string, string | undefined>>;
  platform: NodeJS.Platform;
  home: string;
}

/** The data folder: `--data-dir`, else HEARTHLEND_HOME, else the platform's convention. */
export declare function dataDirPath(question: DataDirQuestion): string;

/** Makes the folder (0700) or checks the one there: ours, and written by nobody else. @throws DATA_DIR_UNWRITABLE, DISK_FULL */
export declare function openDataDir(folder: string): void;
