/**
 * What of the machine one GPU's driver needs inside the sandbox, beyond what every worker gets. All of it is there under its own path and
 * read-only, but for the device nodes, which only a driver's own calls change.
 */
export interface DeviceAccess {
  /** Shared libraries, by the paths under which the dynamic loader finds them. */
  libraries: string[];
  files: string[];
  /** Symbolic links to make; where they lead need not exist. */
  links: Array<{ path: string; target: string }>;
  /** Device nodes. */
  nodes: string[];
  /** What of /proc stays uncovered, as absolute paths. */
  proc: string[];
  /** ONNX Runtime's own provider libraries, which it looks for beside itself. */
  providers: string[];
  environment: Record<string, string>;
  ioctls: Ioctls;
  /** macOS: the services and drivers of Metal. */
  metal: boolean;
}

/** Which requests the system call filter lets through: those on files and terminals, those of Linux' graphics drivers as well, or any. */
export type Ioctls = 'files' | 'graphics' | 'any';

export const NO_DEVICE: DeviceAccess = {
  libraries: [],
  files: [],
  links: [],
  nodes: [],
  proc: [],
  providers: [],
  environment: {},
  ioctls: 'files',
  metal: false,
};
