// How a receiver tells that it was us: code that checks the signature, as Standard Webhooks says.
import { html, useState } from '../../core/dom.js';
import { t } from '../../core/i18n.js';
import { Once } from '../keys/once.js';

const CODE = {
  JavaScript: `import { createHmac, timingSafeEqual } from 'node:crypto';

export function verify(secret, headers, body) {
  const id = headers['webhook-id'];
  const time = headers['webhook-timestamp'];
  if (Math.abs(Date.now() / 1000 - Number(time)) > 300) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  const ours = createHmac('sha256', key).update(\`\${id}.\${time}.\${body}\`).digest();
  return headers['webhook-signature'].split(' ').some((one) => {
    const [version, text] = one.split(',');
    const theirs = Buffer.from(text ?? '', 'base64');
    return version === 'v1' && theirs.length === ours.length && timingSafeEqual(theirs, ours);
  });
}`,
  Python: `import base64, hashlib, hmac, time

def verify(secret: str, headers: dict, body: bytes) -> bool:
    stamp = headers["webhook-timestamp"]
    if abs(time.time() - int(stamp)) > 300:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{stamp}.".encode() + body
    ours = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    return any(hmac.compare_digest(ours, one.encode()) for one in headers["webhook-signature"].split(" "))`,
};

export function Checking() {
  const [name, setName] = useState('JavaScript');
  return html`<details class="checking"><summary>${t('hooks.check')}</summary><p>${t('hooks.check.text')}</p>
    <div class="row" role="group" aria-label=${t('hooks.check.in')}>${Object.keys(CODE).map((one) => html`<button type="button" key=${one} class="plain" aria-pressed=${one === name} onClick=${() => setName(one)}>${one}</button>`)}</div>
    <${Once} key=${name} label=${t('hooks.check.code', { name })} value=${CODE[name]} /></details>`;
}
