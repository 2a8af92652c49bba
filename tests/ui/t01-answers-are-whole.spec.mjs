// T1: whatever breaks in mid-answer, the text at the end equals the server's reply, each token once.
import { world } from './harness.mjs';
import { wholeAnswers } from './answers.mjs';

wholeAnswers(world());
