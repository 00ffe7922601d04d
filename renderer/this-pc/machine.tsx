import type { BackendReport } from '../../core/contract/backends.ts';
import type { Gpu, HardwareProblem, HardwareReport } from '../../core/contract/hardware.ts';
import { apiWords, driverWords, gpuWords, linkWords, machineWords, memoryText, powerWords } from '../../core/contract/hardware-words.ts';
import { message } from '../../core/contract/messages.ts';
import { say } from '../words/say.ts';
import { Backends } from './backends.tsx';
import { backendsOf } from './headline.ts';
import { diskText } from './measures.ts';

/** What was found: each GPU with what is known of it, then the rest. */
export function Machine({ hardware, backends }: { hardware: HardwareReport; backends: BackendReport }): React.ReactNode {
  const { gpus, softwareAdapters } = hardware;
  return (
    <section className="card found" aria-labelledby="found">
      <div className="head">
        <h2 id="found">{message('pc.found')}</h2>
      </div>
      <ul className="gpus">
        {gpus.map((gpu) => (
          <li key={gpu.id}>
            <GpuFacts gpu={gpu} backends={backends} />
          </li>
        ))}
        {gpus.length === 0 && <li className="soft">{message('screen.pc.graphics.none')}</li>}
        {softwareAdapters.map(({ name }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: two of the same name differ in nothing else, and the list doesn't move
          <li key={index} className="soft">
            {message('screen.pc.graphics.software', { model: name })}
          </li>
        ))}
      </ul>
      <Rest hardware={hardware} backends={backends} />
    </section>
  );
}

function GpuFacts({ gpu, backends }: { gpu: Gpu; backends: BackendReport }): React.ReactNode {
  const { name, pci } = gpu;
  const link = linkWords(gpu);
  return (
    <>
      <h3>{name}</h3>
      <p className="soft">{gpuWords(gpu)}</p>
      {gpu.mig?.role !== 'parent' && (
        <Backends
          backends={backendsOf(backends, gpu.id)}
          computing={backends.workers.find((worker) => worker.gpu === gpu.id)?.backend ?? null}
        />
      )}
      <details>
        <summary>{message('screen.safety.details')}</summary>
        <dl className="facts">
          <dt>{message('pc.gpu.driver')}</dt>
          <dd>{driverWords(gpu)}</dd>
          <dt>{message('pc.gpu.apis')}</dt>
          <dd>{apiWords(gpu)}</dd>
          {link !== null && (
            <>
              <dt>{message('pc.gpu.link')}</dt>
              <dd>{link}</dd>
            </>
          )}
          {pci !== null && pci.address !== null && (
            <>
              <dt>{message('pc.gpu.address')}</dt>
              <dd className="mono">{pci.address}</dd>
            </>
          )}
        </dl>
      </details>
    </>
  );
}

function Rest({ hardware, backends }: { hardware: HardwareReport; backends: BackendReport }): React.ReactNode {
  const { os, machine, cpu, memory, power, disk } = hardware;
  const runsOn = powerWords(power);
  const computes = backends.workers.some((worker) => worker.gpu === null);
  return (
    <dl className="facts">
      <dt>{message('screen.pc.processor')}</dt>
      <dd>
        {message('screen.pc.processor.value', { model: cpu.model, cores: cpu.cores })}
        {computes && <span className="tag ember">{message('pc.backend.computes')}</span>}
      </dd>
      <dt>{message('screen.pc.memory')}</dt>
      <dd>{memoryText(memory.totalBytes)}</dd>
      <dt>{message('screen.pc.disk')}</dt>
      <dd>{disk.freeBytes === null ? message('pc.unknown') : diskText(disk.freeBytes)}</dd>
      <dt>{message('screen.pc.system')}</dt>
      <dd title={os.release}>{message('screen.pc.system.value', { name: os.name, arch: os.arch })}</dd>
      <dt>{message('pc.machine')}</dt>
      <dd>{machineWords(machine)}</dd>
      {runsOn !== null && (
        <>
          <dt>{message('pc.power')}</dt>
          <dd>{runsOn}</dd>
        </>
      )}
    </dl>
  );
}

/** What keeps a GPU or a source from being used, with what would change it. */
export function Problems({ problems, hardware }: { problems: readonly HardwareProblem[]; hardware: HardwareReport }): React.ReactNode {
  if (problems.length === 0) return null;
  return (
    <section className="card" aria-labelledby="problems">
      <div className="head">
        <h2 id="problems">{message('pc.problems')}</h2>
      </div>
      <ul className="problems">
        {problems.map(({ gpu, what, next }, index) => (
          // biome-ignore lint/suspicious/noArrayIndexKey: the list is made anew as a whole
          <li key={index}>
            <i className="dot warn" />
            <div>
              <p>
                {gpu !== null && <b>{hardware.gpus.find((each) => each.id === gpu)?.name ?? gpu}: </b>}
                {say(what)}
              </p>
              {next !== null && <p className="soft">{say(next)}</p>}
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}
