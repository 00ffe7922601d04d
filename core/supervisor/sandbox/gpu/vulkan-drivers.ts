import { posix } from 'node:path';
import { z } from 'zod';

/** Whose Vulkan driver it is; `software` computes on the CPU. */
export type DriverKind = 'nvidia' | 'nouveau' | 'radv' | 'amdvlk' | 'intel' | 'software' | 'other';

/** A Vulkan driver as its manifest tells the loader of it. */
export interface VulkanDriver {
  kind: DriverKind;
  manifest: string;
  /** An absolute path, or a name that the dynamic loader is to find. */
  library: string;
}

/** Where the Vulkan loader looks (its LoaderDriverInterface.md), and NixOS' place. */
export const MANIFEST_FOLDERS = [
  '/etc/vulkan/icd.d',
  '/usr/local/etc/vulkan/icd.d',
  '/usr/local/share/vulkan/icd.d',
  '/usr/share/vulkan/icd.d',
  '/run/opengl-driver/share/vulkan/icd.d',
];

const KINDS: readonly [RegExp, DriverKind][] = [
  [/lib(GLX|EGL)_nvidia|nvidia-vulkan/, 'nvidia'],
  [/vulkan_nouveau/, 'nouveau'],
  [/vulkan_radeon/, 'radv'],
  [/amdvlk/, 'amdvlk'],
  [/vulkan_intel/, 'intel'],
  [/vulkan_lvp|lavapipe|swiftshader|swrast/, 'software'],
];

const Manifest = z.looseObject({
  ICD: z.looseObject({ library_path: z.string().min(1).max(4096), library_arch: z.string().max(8).optional() }),
});

/** The driver that a manifest's text names; null where it is no manifest, or its driver is for 32-bit programs. */
export function readManifest(manifest: string, text: string): VulkanDriver | null {
  let parsed: z.infer<typeof Manifest>;
  try {
    parsed = Manifest.parse(JSON.parse(text));
  } catch {
    // Somebody else's file, which the Vulkan loader passes over as well.
    return null;
  }
  const { library_path: path, library_arch: bits } = parsed.ICD;
  if (bits === '32' || /\.i[3-6]86\.json$/.test(manifest)) return null;
  const library = path.startsWith('/') || !path.includes('/') ? path : posix.join(posix.dirname(manifest), path);
  return { kind: kindOf(library), manifest, library };
}

/** By the library's name: what a manifest says of itself is its version. */
function kindOf(library: string): DriverKind {
  const name = posix.basename(library);
  return KINDS.find(([pattern]) => pattern.test(name))?.[1] ?? 'other';
}
