import { executeOperator, Operator, OperatorConfig, registerOperator } from "@fiftyone/operators";
import { dataset } from "@fiftyone/state";
import { useRecoilValue } from "recoil";

const PATIENCE = 10000; // ms
const LOOKS = 50; // ms

let read; // the dataset as the App has read it last: another id at each reading

/** Show a saved view by its name once the App, which has been told to read its dataset again, has.
 *
 * Before that it may not know the view, and would go back to the one without a name.
 */
class ShowSavedView extends Operator {
  get config() {
    return new OperatorConfig({ name: "show_saved_view", label: "DRoP: show a saved view", unlisted: true });
  }
  useHooks() {
    read = useRecoilValue(dataset)?.id;
  }
  async execute({ params: { name } }) {
    const before = read;
    for (const end = Date.now() + PATIENCE; read === before && Date.now() < end; )
      await new Promise((done) => setTimeout(done, LOOKS));
    executeOperator("@voxel51/operators/set_view", { name });
  }
}

registerOperator(ShowSavedView, "@fiftyone-drop/drop");
