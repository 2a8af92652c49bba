// T3: stop cancels the job within a second, keeps the words, and the next message goes.
import { world } from './harness.mjs';
import { stopping } from './answers.mjs';

stopping(world());
