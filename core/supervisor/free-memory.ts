/**
 * Memory that the machine can give just now, in bytes, what a container allows included; null where the system's own number leaves out what it
 * would take back at once: macOS counts only pages that nobody ever used.
 */
export function freeMemoryBytes(): number | null {
  return process.platform === 'darwin' ? null : process.availableMemory();
}
