import { access, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type MachineFacts, machineFromDmi, type PowerFacts, powerFromSupplies } from './machine.ts';
import { smallFile } from './small-file.ts';
import { known } from './words.ts';

const MAX_SUPPLIES = 32;

/** What a Linux machine is, from /sys, /proc and the marks that containers leave. */
export async function readLinuxMachine(root: string): Promise<MachineFacts> {
  const dmi = join(root, 'sys/class/dmi/id');
  const [vendor, product, version, chassis, board, cpuinfo, kernel, container] = await Promise.all([
    smallFile(join(dmi, 'sys_vendor')),
    smallFile(join(dmi, 'product_name')),
    smallFile(join(dmi, 'product_version')),
    smallFile(join(dmi, 'chassis_type')),
    // Boards without SMBIOS, as most with an Arm processor.
    smallFile(join(root, 'proc/device-tree/model')),
    smallFile(join(root, 'proc/cpuinfo')),
    smallFile(join(root, 'proc/sys/kernel/osrelease')),
    isContainer(root),
  ]);
  // Lenovo's product is a number, and its version the name.
  const named = vendor === 'LENOVO' && known(version) !== null ? `${version} ${product}` : product;
  const machine = machineFromDmi({ vendor, product: named, chassis: /^\d{1,3}$/.test(chassis) ? Number(chassis) : null });
  const wsl = /microsoft/i.test(kernel);
  const flags = /^flags\s*:(.*)$/m.exec(cpuinfo)?.[1];
  const isGuest = machine.hypervisor !== null || wsl ? true : flags === undefined ? null : /\bhypervisor\b/.test(flags);
  return {
    formFactor: machine.formFactor,
    name: machine.name ?? known(board),
    virtualMachine: isGuest,
    hypervisor: machine.hypervisor ?? (wsl ? 'Hyper-V' : null),
    container,
    wsl,
  };
}

/** Docker, Podman and systemd-nspawn each leave a mark; where there is none and none is missing, it is none of them. */
async function isContainer(root: string): Promise<boolean> {
  const marks = ['.dockerenv', 'run/.containerenv', 'run/systemd/container'];
  const found = await Promise.all(
    marks.map((mark) =>
      access(join(root, mark)).then(
        () => true,
        () => false,
      ),
    ),
  );
  return found.includes(true) || /\b(docker|kubepods|containerd|lxc|libpod)\b/.test(await smallFile(join(root, 'proc/1/cgroup')));
}

/** What a Linux machine runs on just now. */
export async function readLinuxPower(root: string): Promise<PowerFacts> {
  const supplies = join(root, 'sys/class/power_supply');
  const names = (await readdir(supplies).catch(() => [])).slice(0, MAX_SUPPLIES);
  const facts = ['type', 'scope', 'online', 'capacity', 'status', 'present'] as const;
  const read = names.map(async (name) => {
    const [type = '', scope = '', online = '', capacity = '', status = '', present = ''] = await Promise.all(
      facts.map((fact) => smallFile(join(supplies, name, fact))),
    );
    return { type, scope, online, capacity, status, present };
  });
  return powerFromSupplies(await Promise.all(read));
}
