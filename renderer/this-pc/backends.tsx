import type { Backend, BackendName } from '../../core/contract/backends.ts';
import { message } from '../../core/contract/messages.ts';
import { Remedy } from '../frame/remedy.tsx';
import { say } from '../words/say.ts';

/** As their makers write them. */
export const BACKEND_NAMES: Record<BackendName, string> = {
  cpu: 'CPU',
  webgpu: 'WebGPU',
  dml: 'DirectML',
  coreml: 'Core ML',
  cuda: 'CUDA',
};

const dateAndTime = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short', hourCycle: 'h23' });

/** Each way to compute on one device: whether it works, as running something on it showed, and what to do where it doesn't. */
export function Backends({ backends, computing }: { backends: readonly Backend[]; computing: BackendName | null }): React.ReactNode {
  if (backends.length === 0) return <p className="soft">{message('pc.backend.untried')}</p>;
  return (
    <ul className="backends" aria-label={message('pc.backends')}>
      {backends.map((backend) => (
        <li key={backend.name}>
          <i className={backend.works && !backend.software ? 'dot ok' : 'dot off'} />
          <div>
            <p title={tested(backend)}>
              {BACKEND_NAMES[backend.name]} <span className="soft">{outcome(backend)}</span>
              {computing === backend.name && <span className="tag ember">{message('pc.backend.computes')}</span>}
            </p>
            {backend.reason !== null && <p className="soft">{say(backend.reason)}</p>}
            {backend.remedy !== null && <Remedy remedy={backend.remedy} />}
          </div>
        </li>
      ))}
    </ul>
  );
}

function outcome({ works, software, testedAt, reason }: Backend): string {
  if (works) return message(software ? 'pc.backend.software' : 'pc.backend.works');
  return message(testedAt === null && reason === null ? 'pc.backend.untried' : 'pc.backend.fails');
}

function tested({ testedAt, firstMs }: Backend): string | undefined {
  if (testedAt === null || firstMs === null) return undefined;
  return message('pc.backend.tested', { date: dateAndTime.format(testedAt), ms: Math.round(firstMs) });
}
