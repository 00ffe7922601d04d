import type { Settings } from '../contract/settings.ts';

/** The settings in the file, with defaults for what it leaves out; all defaults where there is no file. @throws SETTINGS_INVALID naming the field */
export declare function loadSettings(path: string): Settings;

/** Replaces the file as a whole. @throws SETTINGS_INVALID, DISK_FULL, DATA_DIR_UNWRITABLE */
export declare function saveSettings(path: string, settings: Settings): void;
