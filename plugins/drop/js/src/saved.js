import { executeOperator, Operator, OperatorConfig, registerOperator } from "@fiftyone/operators";
import { dataset } from "@fiftyone/state";
import { useRecoilValue } from "recoil";

const PATIENCE = 10000; // ms
const LOOKS = 50; // ms

let known = []; // the saved views that the App knows, at each moment

/** Show a saved view as soon as the App knows it: it has been told to read its dataset again. */
class ShowSavedView extends Operator {
  get config() {
    return new OperatorConfig({ name: "show_saved_view", label: "DRoP: show a saved view", unlisted: true });
  }
  useHooks() {
    known = useRecoilValue(dataset)?.savedViews ?? [];
  }
  async execute({ params: { name } }) {
    const isKnown = () => known.some(({ slug }) => slug === name);
    for (const end = Date.now() + PATIENCE; !isKnown() && Date.now() < end; )
      await new Promise((done) => setTimeout(done, LOOKS));
    if (isKnown()) executeOperator("@voxel51/operators/set_view", { name });
  }
}

registerOperator(ShowSavedView, "@fiftyone-drop/drop");
