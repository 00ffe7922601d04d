import { createRequire } from 'node:module';
import type { Systeminformation } from 'systeminformation';
import { z } from 'zod';
import { isSoftwareAdapter } from '../contract/hardware.ts';
import { formFactorOf, hypervisorOf, type MachineFacts, type PowerFacts } from './machine.ts';
import type { Sighting } from './sighting.ts';
import type { Tool } from './tool.ts';
import { vendorOf } from './vendors.ts';
import { bytes, known, pciAddress, pciId } from './words.ts';

const MIB = 2 ** 20;

/**
 * Asked in a process of its own: it starts a dozen programs, some of them while blocking. Each answer is a line of its own, so that those which
 * came count where another is late.
 */
const ASK = `const si = require(process.argv[1]);
const tell = (answer) => process.stdout.write(JSON.stringify(answer) + '\\n');
for (const fact of ['graphics', 'chassis', 'system', 'battery']) si[fact]().then((told) => tell({ [fact]: told }), () => {});`;

/** For Windows, whose facts are in WMI: systeminformation asks PowerShell for them. */
export function systemInformation(nodePath: string): Tool {
  const library = besideArchive(createRequire(import.meta.url).resolve('systeminformation'));
  return { name: 'systeminformation', programs: [nodePath], args: ['-e', ASK, library] };
}

/** A path into the desktop app's archive, which a plain Node can't look into, as the path of the same file unpacked beside it. */
export function besideArchive(path: string): string {
  return path.replace(/([\\/])app\.asar(?=[\\/])/, '$1app.asar.unpacked');
}

type Controller = { [Fact in keyof Systeminformation.GraphicsControllerData]?: unknown };
const Facts = z.record(z.string(), z.unknown()).optional().catch(undefined);
const Graphics = z.object({ controllers: z.array(z.record(z.string(), z.unknown())).max(64) });
const Answers = z.object({ graphics: Graphics.optional().catch(undefined), chassis: Facts, system: Facts, battery: Facts });

/** Null where no line is such an answer. */
export function parseSystemInformation(
  output: string,
): { sightings: Sighting[]; machine: Partial<MachineFacts>; power: PowerFacts } | null {
  const lines = output.split('\n').flatMap((line) => answerIn(line) ?? []);
  if (lines.length === 0) return null;
  const { graphics, chassis, system, battery }: z.infer<typeof Answers> = Object.assign({}, ...lines);
  const name = known([known(system?.manufacturer), known(system?.model)].filter((part) => part !== null).join(' '));
  const hypervisor = hypervisorOf(name);
  const isVirtual = system?.virtual === true || hypervisor !== null ? true : system?.virtual === false ? false : null;
  const hasBattery = battery?.hasBattery === true;
  return {
    sightings: sightingsOf(graphics?.controllers ?? []),
    machine: {
      name,
      formFactor: formFactorOf(known(chassis?.type)),
      virtualMachine: isVirtual,
      hypervisor: hypervisor ?? known(system?.virtualHost),
    },
    power: {
      source: battery?.acConnected === true ? 'mains' : hasBattery && battery?.acConnected === false ? 'battery' : null,
      percent:
        hasBattery && typeof battery?.percent === 'number' && battery.percent >= 0 && battery.percent <= 100 ? battery.percent : null,
    },
  };
}

function answerIn(line: string): z.infer<typeof Answers> | null {
  try {
    return Answers.parse(JSON.parse(line));
  } catch {
    return null;
  }
}

/**
 * The adapters as systeminformation gives them; sizes in MiB, `name` and `memoryTotal` from nvidia-smi where it answered. Without that its
 * `vram` is what Windows counts in 32 bits, so the most that fits, 1 MiB short of 4 GiB, may be any larger size.
 */
export function sightingsOf(controllers: readonly Controller[]): Sighting[] {
  return controllers.flatMap((adapter) => {
    const maker = known(adapter.vendor);
    const model = known(adapter.name) ?? known(adapter.model);
    if (model === null) return [];
    const mebibytes = bytes(adapter.memoryTotal) ?? (adapter.vramDynamic === true ? null : bytes(adapter.vram));
    const isCapped = bytes(adapter.memoryTotal) === null && mebibytes !== null && mebibytes >= 4095 && mebibytes < 4096;
    return [
      {
        source: 'systeminformation' as const,
        address: pciAddress(adapter.pciBus),
        vendorId: pciId(adapter.vendorId),
        deviceId: pciId(adapter.deviceId),
        vendor: vendorOf(`${maker ?? ''} ${model}`) ?? maker,
        name: model,
        vramBytes: mebibytes === null || isCapped ? null : mebibytes * MIB,
        driverVersion: known(adapter.driverVersion),
        external: typeof adapter.external === 'boolean' ? adapter.external : null,
        software: isSoftwareAdapter(`${maker ?? ''} ${model}`),
      },
    ];
  });
}
