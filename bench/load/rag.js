// The load of the specification ("Performance Testing Strategy") on POST /api/chat/query, for k6:
//
//   cargo xtask bench load --only load        runs it against a system of its own
//   k6 run -e EDGE_URL=… -e QUESTIONS=… bench/load/rag.js
//
// EDGE_URL    e.g. https://staging.etude.example
// QUESTIONS   a JSON file: [{ "text": "…", "token": "…" }], each with the access token of whoever asks it
// SCALE       of the stages' time: 1 is the specification's 14 minutes
// USERS       at the most, 100 in the specification
// THINK_S     how long each reads an answer before asking again
// REPEATS     the share of questions that somebody has asked before: 0.7 in the specification's cache validation
// FIRST_NEW   the number of the first new question, where others have been asked of the same system

import { check, sleep } from "k6";
import { SharedArray } from "k6/data";
import exec from "k6/execution";
import http from "k6/http";

const number = (name, otherwise) => Number(__ENV[name] || otherwise);
const scale = number("SCALE", 1);
const users = number("USERS", 100);
const thinkS = number("THINK_S", 1);
const repeats = number("REPEATS", 0.7);
const firstNew = number("FIRST_NEW", 0);

const questions = new SharedArray("questions", () => JSON.parse(open(__ENV.QUESTIONS)));

const stage = (minutes, share) => ({
  duration: `${Math.max(1, Math.round(minutes * 60 * scale))}s`,
  target: Math.round(users * share),
});

export const options = {
  scenarios: {
    rag: {
      executor: "ramping-vus",
      stages: [
        stage(2, 0.5), // ramp to half of the users
        stage(5, 0.5), // hold
        stage(2, 1), // ramp to all
        stage(3, 1), // hold
        stage(2, 0), // ramp down
      ],
    },
  },
  thresholds: {
    "http_req_duration{type:rag}": ["p(95)<200", "p(99)<500"],
    http_req_failed: ["rate<0.01"],
    checks: ["rate>0.99"],
  },
  summaryTrendStats: ["med", "p(95)", "p(99)", "max"],
};

export default function () {
  const iteration = exec.scenario.iterationInTest;
  // A number makes a question that nobody has asked before out of one that somebody has. Those numbers have no gaps.
  const newBefore = Math.floor(iteration * (1 - repeats));
  const isNew = Math.floor((iteration + 1) * (1 - repeats)) > newBefore;
  const place = isNew ? firstNew + newBefore : iteration;
  const question = questions[place % questions.length];
  const query = isNew ? `${question.text} (${place})` : question.text;

  const response = http.post(`${__ENV.EDGE_URL}/api/chat/query`, JSON.stringify({ query }), {
    headers: {
      accept: "application/json",
      authorization: `Bearer ${question.token}`,
      "content-type": "application/json",
    },
    tags: { type: "rag" },
  });

  check(response, {
    "status 200": (r) => r.status === 200,
    "has answer": (r) => r.status === 200 && r.json("answer") !== undefined,
    "has sources": (r) => r.status === 200 && r.json("sources").length > 0,
  });
  sleep(thinkS * (0.5 + Math.random()));
}
