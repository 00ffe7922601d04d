import type { Gpu, HardwareReport } from '../contract/hardware.ts';
import type { Sighting, Source } from './sighting.ts';

/** The adapters of a machine: those with a GPU, and those without. */
export type JoinedAdapters = Pick<HardwareReport, 'gpus' | 'softwareAdapters'>;

type Fact = Exclude<keyof Sighting, 'source'>;

const ORDER: readonly Source[] = [
  'pci',
  'lspci',
  'nvidia-smi',
  'amd-smi',
  'rocm-smi',
  'system-profiler',
  'systeminformation',
  'directx',
  'vulkaninfo',
];

/** Whose word counts where several tell a fact, when not in the order of joining. Vulkan's drivers know what an AMD card was sold as. */
const TRUSTED: Partial<Record<Fact, readonly Source[]>> = {
  name: ['nvidia-smi', 'system-profiler', 'amd-smi', 'vulkaninfo', 'directx', 'systeminformation', 'rocm-smi', 'lspci', 'pci'],
  model: ['lspci', 'amd-smi', 'rocm-smi', 'vulkaninfo'],
  vramBytes: ['nvidia-smi', 'amd-smi', 'rocm-smi', 'pci', 'directx', 'system-profiler', 'systeminformation'],
  driver: ['pci', 'lspci', 'nvidia-smi', 'amd-smi', 'rocm-smi'],
  driverVersion: ['nvidia-smi', 'pci', 'amd-smi', 'rocm-smi', 'systeminformation', 'vulkaninfo'],
  link: ['nvidia-smi', 'pci', 'amd-smi', 'system-profiler'],
};

/** Chips that are a processor's: their memory is the machine's. Source: pci-ids.ucw.cz, by AMD's code names. */
const PROCESSORS_OWN =
  /\b(kaveri|carrizo|stoney|wani|mullins|kabini|raven|picasso|dali|renoir|lucienne|cezanne|barcelo|van ?gogh|aerith|sephiroth|rembrandt|mendocino|raphael|granite ridge|phoenix\d?|hawk ?point\d?|strix|krackan|gorgon)\b/i;

/**
 * Joins what the sources saw into one list: by PCI address; where one has none, by the device's ids; else by its name. Two sightings of one
 * source are two adapters, so identical cards stay apart and pair up in the order of the bus.
 */
export function joinSightings(sightings: readonly Sighting[]): JoinedAdapters {
  const groups: Sighting[][] = [];
  for (const source of ORDER) {
    for (const sighting of sightings.filter((each) => each.source === source)) {
      const group = groups.find((known) => isAt(known, sighting.address)) ?? groups.find((known) => isSame(known, sighting));
      if (group !== undefined) group.push(sighting);
      // DirectX's list keeps cards that were taken out: beside a list of those that are there it has no say of its own.
      else if (source !== 'directx' || !sightings.some((each) => each.source === 'systeminformation')) groups.push([sighting]);
    }
  }
  const withGpu = groups.filter((group) => !isSoftware(group));
  const gpus = withGpu.sort(byAddress).flatMap((group, index) => gpusOf(group, index));
  return {
    gpus,
    softwareAdapters: groups
      .filter(isSoftware)
      .map(softwareOf)
      .filter((adapter) => adapter !== null),
  };
}

function isAt(group: readonly Sighting[], address: string | null | undefined): boolean {
  return address != null && firstOf(group, 'address') === address;
}

/** Whether a sighting that is at no place known of the group's may be of it. */
function isSame(group: readonly Sighting[], sighting: Sighting): boolean {
  if (group.some(({ source }) => source === sighting.source)) return false;
  if (isSoftware(group) !== (sighting.software === true)) return false;
  const [address, vendorId, deviceId, vendor] = (['address', 'vendorId', 'deviceId', 'vendor'] as const).map((fact) =>
    firstOf(group, fact),
  );
  if (address !== null && sighting.address != null) return false;
  if (differ(vendorId, sighting.vendorId) || differ(vendor, sighting.vendor) || differ(deviceId, sighting.deviceId)) return false;
  if (vendorId !== null && deviceId !== null && sighting.vendorId != null && sighting.deviceId != null) return true;
  const names = group.flatMap(({ name, model }) => [name, model]).filter((name) => name != null);
  return [sighting.name, sighting.model].some((name) => name != null && names.some((each) => isSameName(each, name)));
}

function differ(one: unknown, other: unknown): boolean {
  return one != null && other != null && one !== other;
}

/** `NVIDIA GeForce RTX 3080` and `GeForce RTX 3080`; `Intel(R) UHD Graphics 770` and `Intel UHD Graphics 770`. */
function isSameName(one: string, other: string): boolean {
  const plain = (name: string) =>
    name
      .toLowerCase()
      .replace(/\((r|tm|c)\)/g, ' ')
      .replace(/\b(nvidia|amd|ati|intel|corporation|graphics|mobile|laptop gpu)\b/g, ' ')
      .replace(/[^a-z0-9]+/g, ' ')
      .trim();
  return plain(one) !== '' && plain(one) === plain(other);
}

function isSoftware(group: readonly Sighting[]): boolean {
  return group.some(({ software }) => software === true);
}

function firstOf<Name extends Fact>(group: readonly Sighting[], fact: Name): NonNullable<Sighting[Name]> | null {
  const order = TRUSTED[fact] ?? ORDER;
  for (const source of order) {
    const value = group.find((each) => each.source === source)?.[fact];
    if (value != null) return value;
  }
  return null;
}

/** By address; what is on no bus comes after, as it was found. */
function byAddress(one: readonly Sighting[], other: readonly Sighting[]): number {
  const [first, second] = [firstOf(one, 'address') ?? '~', firstOf(other, 'address') ?? '~'];
  return first < second ? -1 : first > second ? 1 : 0;
}

function softwareOf(group: readonly Sighting[]): { name: string; vendor: string | null } | null {
  const name = firstOf(group, 'name') ?? pciName(group);
  return name === null ? null : { name, vendor: firstOf(group, 'vendor') };
}

function gpusOf(group: readonly Sighting[], index: number): Gpu[] {
  const fact = <Name extends Fact>(name: Name): NonNullable<Sighting[Name]> | null => firstOf(group, name);
  const [address, vendorId, deviceId, vendor, model] = [fact('address'), fact('vendorId'), fact('deviceId'), fact('vendor'), fact('model')];
  const kind = fact('kind') ?? kindOf({ address, vendor, model, name: fact('name') });
  const id = address ?? `gpu-${index}`;
  const slices = fact('slices');
  const gpu: Gpu = {
    id,
    vendor,
    name: fact('name') ?? pciName(group) ?? vendor ?? id,
    model,
    pci: address === null && deviceId === null ? null : { address, vendorId, deviceId },
    // What firmware sets aside for a processor's GPU, or Windows lends it, is the machine's memory.
    vramBytes: kind === 'integrated' ? null : fact('vramBytes'),
    driver: fact('driver'),
    driverVersion: fact('driverVersion'),
    apis: { cuda: fact('cuda'), vulkan: fact('vulkan'), directx: fact('directx'), metal: fact('metal') },
    kind,
    external: fact('external') ?? (kind === 'integrated' ? false : null),
    link: kind === 'integrated' ? null : fact('link'),
    mig: null,
  };
  if (slices === null) return [gpu];
  const parts = slices.map(
    ({ gpuInstance, computeInstance, vramBytes }): Gpu => ({
      ...gpu,
      id: `${id}/gi${gpuInstance}/ci${computeInstance}`,
      vramBytes,
      mig: { role: 'slice', parent: id, gpuInstance, computeInstance },
    }),
  );
  return [{ ...gpu, mig: { role: 'parent', slices: parts.map((part) => part.id) } }, ...parts];
}

function pciName(group: readonly Sighting[]): string | null {
  const [vendorId, deviceId] = [firstOf(group, 'vendorId'), firstOf(group, 'deviceId')];
  return vendorId === null || deviceId === null ? null : `PCI device ${vendorId}:${deviceId}`;
}

/** What nobody told, but follows: Intel's own GPU is at one place on the bus, NVIDIA's on a bus are cards, code names are a processor's. */
function kindOf(gpu: { address: string | null; vendor: string | null; model: string | null; name: string | null }): Gpu['kind'] {
  if (gpu.vendor === 'Apple') return 'integrated';
  if (gpu.vendor === 'NVIDIA') return gpu.address === null || /\b(GB10|tegra|orin|thor)\b/i.test(gpu.name ?? '') ? null : 'discrete';
  if (gpu.vendor === 'Intel') return gpu.address === null ? null : /:00:02\.0$/.test(gpu.address) ? 'integrated' : 'discrete';
  if (PROCESSORS_OWN.test(`${gpu.model ?? ''} ${gpu.name ?? ''}`)) return 'integrated';
  return /\b(navi|vega \d\d|polaris|arcturus|aldebaran|aqua vanjaram|ellesmere|baffin|lexa|fiji|instinct|rx \d{3,4})\b/i.test(
    `${gpu.model ?? ''} ${gpu.name ?? ''}`,
  )
    ? 'discrete'
    : null;
}
