import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadChatTemplate } from '../../../core/text/chat-template.ts';

function folder(files: Record<string, unknown>): string {
  const path = mkdtempSync(join(tmpdir(), 'hearthlend-template-'));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  for (const [name, content] of Object.entries({ 'tokenizer.json': {}, ...files })) {
    writeFileSync(join(path, name), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return path;
}

const messages = [
  { role: 'system' as const, content: 'Be brief.' },
  { role: 'user' as const, content: 'Why?' },
];
/** As the models of SmolLM2 and Qwen2 have it. */
const CHATML =
  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}";

test('a conversation is put into the words of the model’s own template, up to where its answer begins', async () => {
  const template = await loadChatTemplate(folder({ 'tokenizer_config.json': { chat_template: CHATML } }));
  expect(template?.(messages)).toBe('<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhy?<|im_end|>\n<|im_start|>assistant\n');
});

test('a template of its own file counts first; of several the one named default; special tokens are known to it', async () => {
  const config = {
    bos_token: { content: '<s>' },
    eos_token: '</s>',
    chat_template: [
      { name: 'rag', template: 'rag' },
      { name: 'default', template: '{{ bos_token }}{{ messages[0].content }}{{ eos_token }}' },
    ],
  };
  expect((await loadChatTemplate(folder({ 'tokenizer_config.json': config })))?.(messages)).toBe('<s>Be brief.</s>');
  const both = folder({ 'tokenizer_config.json': config, 'chat_template.jinja': '{{ messages | length }}' });
  expect((await loadChatTemplate(both))?.(messages)).toBe('2');
  expect(await loadChatTemplate(folder({}))).toBeNull();
});

test.each([
  ['does not parse', '{% for %}'],
  ['refuses the conversation', "{{ raise_exception('roles must alternate') }}"],
  ['never ends', '{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}'],
  [
    'asks for more memory than there is',
    '{% set ns = namespace(s="aaaaaaaa") %}{% for i in range(64) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}',
  ],
])('a template that %s is refused by name, and takes nothing down', async (_what, source) => {
  const path = folder({ 'tokenizer_config.json': { chat_template: source } });
  const render = async () => (await loadChatTemplate(path))?.(messages);
  await expect(render()).rejects.toMatchObject({ code: 'CHAT_TEMPLATE_INVALID' });
});

test('what a template may reach is its conversation, and no program', async () => {
  for (const source of [
    "{{ messages.constructor.constructor('return process')() }}",
    '{{ process.env }}',
    "{{ ''.constructor }}",
    '{{ globalThis }}',
  ]) {
    const template = await loadChatTemplate(folder({ 'tokenizer_config.json': { chat_template: source } }));
    let said = '';
    try {
      said = template?.(messages) ?? '';
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'CHAT_TEMPLATE_INVALID' });
    }
    expect(said).not.toMatch(/PATH|function|object process/);
  }
});
