import type { HardwareReport } from '../contract/hardware.ts';
import { known } from './words.ts';

export type MachineFacts = HardwareReport['machine'];
export type PowerFacts = HardwareReport['power'];

type FormFactor = MachineFacts['formFactor'];

/** Kinds of chassis. Source: SMBIOS Reference Specification 3.7, table 17. What a virtual machine says (1, other) is none. */
const CHASSIS: Record<number, FormFactor> = {
  3: 'desktop',
  4: 'desktop',
  5: 'desktop',
  6: 'desktop',
  7: 'desktop',
  8: 'laptop',
  9: 'laptop',
  10: 'laptop',
  11: 'handheld',
  12: 'laptop',
  13: 'desktop',
  14: 'laptop',
  15: 'desktop',
  16: 'desktop',
  17: 'server',
  23: 'server',
  24: 'desktop',
  28: 'server',
  29: 'server',
  30: 'tablet',
  31: 'laptop',
  32: 'laptop',
  35: 'desktop',
  36: 'desktop',
};

/** The words systeminformation has for the same table. */
const CHASSIS_WORDS: readonly [RegExp, FormFactor][] = [
  [/laptop|notebook|portable|convertible|detachable|docking/i, 'laptop'],
  [/hand ?held/i, 'handheld'],
  [/tablet/i, 'tablet'],
  [/server|rack|blade/i, 'server'],
  [/desktop|tower|pizza|all.?in.?one|mini pc|stick pc|space.?saving|lunch.?box|sealed/i, 'desktop'],
];

/** Products that are a hypervisor's. Amazon's metal and Google's and Microsoft's own laptops have such a maker too, so products count. */
const HYPERVISORS: readonly [RegExp, string][] = [
  [/^(qemu|bochs|kvm|rhev|ovirt|red hat kvm|openstack|proxmox)/i, 'KVM'],
  [/google compute engine/i, 'KVM'],
  [/^amazon ec2 (?!.*\.metal)/i, 'KVM'],
  [/vmware/i, 'VMware'],
  [/virtualbox|innotek/i, 'VirtualBox'],
  [/^microsoft corporation virtual machine/i, 'Hyper-V'],
  [/parallels/i, 'Parallels'],
  [/\bxen\b|hvm domu/i, 'Xen'],
  [/apple virtualization|virtualmac/i, 'Apple'],
];

export interface DmiFacts {
  vendor: string | null;
  product: string | null;
  /** SMBIOS's number. */
  chassis: number | null;
}

/** The machine in words, and whether it is one. */
export function machineFromDmi({ vendor, product, chassis }: DmiFacts): Pick<MachineFacts, 'name' | 'formFactor' | 'hypervisor'> {
  const name = known([known(vendor), known(product)].filter((part) => part !== null).join(' '));
  return { name, formFactor: (chassis === null ? null : CHASSIS[chassis]) ?? null, hypervisor: hypervisorOf(name) };
}

export function formFactorOf(chassis: string | null): FormFactor {
  return CHASSIS_WORDS.find(([pattern]) => pattern.test(chassis ?? ''))?.[1] ?? null;
}

export function hypervisorOf(name: string | null): string | null {
  return HYPERVISORS.find(([pattern]) => pattern.test(name ?? ''))?.[1] ?? null;
}

/** One supply of power, as Linux has it in /sys/class/power_supply. */
export interface PowerSupply {
  type: string;
  /** Whether it supplies the machine; a mouse's battery has the scope Device. */
  scope: string;
  online: string;
  capacity: string;
  status: string;
  present: string;
}

/**
 * What the machine runs on. A machine that tells of no supply at all tells nothing: a desktop does that, and so does a virtual machine on a
 * laptop.
 */
export function powerFromSupplies(supplies: readonly PowerSupply[]): PowerFacts {
  const own = supplies.filter(({ scope, present }) => scope !== 'Device' && present !== '0');
  const mains = own.filter(({ type }) => type === 'Mains' || type.startsWith('USB'));
  const batteries = own.filter(({ type }) => type === 'Battery');
  const percents = batteries.map(({ capacity }) => (/^\d{1,3}$/.test(capacity) ? Math.min(100, Number(capacity)) : null));
  const told = percents.filter((percent) => percent !== null);
  const percent = told.length === 0 ? null : Math.round(told.reduce((sum, each) => sum + each, 0) / told.length);
  if (mains.some(({ online }) => online === '1')) return { source: 'mains', percent };
  if (batteries.some(({ status }) => status === 'Discharging')) return { source: 'battery', percent };
  if (batteries.some(({ status }) => status === 'Charging' || status === 'Full')) return { source: 'mains', percent };
  return { source: batteries.length > 0 && mains.length > 0 ? 'battery' : null, percent };
}
