import React, { useState } from "react";
import { useAnswer } from "./events.js";
import { count, fraction } from "./model.js";
import { Button, Message, Select } from "./ui.jsx";

/** The fairness of the run in words; with an evaluation of the trained model, before and after. */
export function Report({ run, evaluations, answer, ask, onHardest }) {
  const fits = answer?.version === run.version ? answer.report : null;
  const [wanted, setWanted] = useState(fits?.eval_key ?? null);
  const eval_key = evaluations.includes(wanted) ? wanted : null;
  const params = { key: run.key, version: run.version, eval_key };
  const again = useAnswer(ask, "report", params, fits?.eval_key === eval_key);
  if (!fits)
    return (
      <div className="drop-row drop-quiet">
        {again ? <>The run was not read. <Button onClick={again}>Read it again</Button></> : "Reading the run…"}
      </div>
    );
  return (
    <section data-cy="drop-report" aria-busy={fits.eval_key !== eval_key}>
      <p className="drop-quiet">{fits.title}.</p>
      <div className="drop-row">
        <span>After training on the kept samples:</span>
        {evaluations.length > 0 ? (
          <Select
            label="The evaluation of the model that was trained on the kept samples"
            value={eval_key ?? ""}
            options={["", ...evaluations]}
            words={(key) => key || "choose its evaluation"}
            onChange={(key) => setWanted(key || null)}
          />
        ) : (
          <span className="drop-quiet">
            evaluate that model with FiftyOne’s operator “Evaluate model”.
          </span>
        )}
      </div>
      {again && (
        <div className="drop-row drop-quiet">
          This evaluation was not read. <Button onClick={again}>Read it again</Button>
        </div>
      )}
      {fits.accuracy && <Accuracy {...fits.accuracy} />}
      {fits.offsets && <p className="drop-quiet" data-cy="drop-offsets">{fits.offsets}</p>}
      {fits.findings.map(({ level, text }) => (
        <Message key={text} level={level}>{text}</Message>
      ))}
      {fits.suspects.map((score) => (
        <div key={score}>
          <Button onClick={() => onHardest(score)}>
            Show the kept samples whose labels may be wrong, worst first by {score}
          </Button>
        </div>
      ))}
    </section>
  );
}

const ROWS = {
  average: "average over classes",
  worst: "worst class",
  gap: "average less worst",
  spread: "standard deviation over classes",
};

function Accuracy({ before, after }) {
  const columns = Object.entries({ before, after }).filter(([, column]) => column);
  return (
    <table className="drop-table" data-cy="drop-accuracy">
      <thead>
        <tr>
          <th>Accuracy, as measured</th>
          {columns.map(([name]) => (
            <th key={name} className="drop-number">{name}</th>
          ))}
        </tr>
      </thead>
      <tbody>
        {Object.entries(ROWS).map(([row, words]) => (
          <tr key={row}>
            <td>{words}</td>
            {columns.map(([name, column]) => (
              <td key={name} className="drop-number">{fraction(column[row])}</td>
            ))}
          </tr>
        ))}
        <tr>
          <td>the worst class is</td>
          {columns.map(([name, column]) => (
            <td key={name} className="drop-number drop-cut" title={column.worst_class}>
              {column.worst_class}
            </td>
          ))}
        </tr>
        <tr>
          <td>measured on</td>
          {columns.map(([name, column]) => (
            <td key={name} className="drop-number">
              {column.samples === null ? "given" : count(column.samples)}
            </td>
          ))}
        </tr>
      </tbody>
    </table>
  );
}
