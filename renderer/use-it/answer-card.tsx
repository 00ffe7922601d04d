import { message } from '../../core/contract/messages.ts';
import { useAgent } from '../agent/agent.ts';
import { type Answer, isOpen } from '../agent/answers.ts';
import { NewestText } from '../frame/newest-text.tsx';
import { sayError } from '../words/say.ts';

/** A prompt and the model's answer to it, as it comes. */
export function AnswerCard({ answer }: { answer: Answer }): React.ReactNode {
  const agent = useAgent();
  const open = isOpen(answer);
  const words = answer.error === null ? null : sayError(answer.error);
  return (
    <article className="card answer" aria-busy={open} aria-label={answer.prompt}>
      <NewestText prompt={answer.prompt} text={answer.text} newest={open ? answer.newest : ''} />
      {words !== null && (
        <div className="trouble" role="alert">
          <p className="bad">{words.what}</p>
          <p className="soft">{words.next}</p>
          <p className="faint">{message('screen.notice.code', { code: words.code })}</p>
        </div>
      )}
      <div className="foot-line">
        <span className="faint" role="status">
          {phaseWords(answer)}
        </span>
        {open && answer.jobId !== null && (
          <button
            type="button"
            className="button ghost small"
            aria-disabled={answer.phase === 'stopping'}
            onClick={() => {
              if (answer.phase !== 'stopping') void agent.stopAnswer(answer.id);
            }}
          >
            {message('screen.use.stop')}
          </button>
        )}
      </div>
    </article>
  );
}

function phaseWords({ phase, tokens, tokensPerSecond }: Answer): string {
  switch (phase) {
    case 'asking':
      return message('screen.use.waiting');
    case 'answering':
      return message('screen.use.answering');
    case 'stopping':
      return message('screen.use.stopping');
    case 'stopped':
      return message('screen.use.stopped');
    case 'failed':
      // The error's own words stand above.
      return '';
    case 'lost':
      return message('screen.use.lost');
    case 'done':
      return tokensPerSecond === null
        ? message('screen.use.done', { tokens })
        : message('screen.use.done-speed', { tokens, speed: speedText(tokensPerSecond) });
  }
}

function speedText(tokensPerSecond: number): string {
  return tokensPerSecond >= 10 ? String(Math.round(tokensPerSecond)) : tokensPerSecond.toFixed(1);
}
