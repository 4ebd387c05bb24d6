"""What the debugger must do, row by row, and the tests that drive each row where it must exist.

H is the Python API or the command line, U the screen. A row that names no test for one of its
surfaces, a test that is not there, and a section that docs/debugger.md lacks fail.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs" / "debugger.md"

# Surfaces of each row.
ROWS = {
    "A1": "U", "A2": "HU", "A3": "HU", "A4": "HU", "A5": "U", "A6": "HU", "A7": "HU", "A8": "HU",
    "A9": "HU", "A10": "HU", "A11": "HU",
    "B1": "HU", "B2": "HU", "B3": "HU", "B4": "HU", "B5": "HU", "B6": "HU", "B7": "H",
    "C1": "U", "C2": "HU", "C3": "HU", "C4": "HU", "C5": "H",
    "D1": "HU", "D2": "HU", "D3": "HU", "D4": "HU", "D5": "HU",
    "E1": "HU", "E2": "HU", "E3": "H", "E4": "HU",
}  # fmt: skip

_UI = "app/ui/test_"
_TRACE = "framework/trace/test_"
_KEYS = f"{_UI}keys_of_rows.py::test_"
WALK = f"{_UI}walk.py::test_walk"
DRIVEN: dict[str, dict[str, tuple[str, ...]]] = {
    "A1": {"U": (
        WALK, f"{_KEYS}the_graph_grows_folds_and_opens",
        "viewers/test_rows.py::test_growing_gives_the_same_rows_as_building_and_never_moves_one",
        "viewers/test_rows.py::test_equal_siblings_fold_and_unfold",
    )},
    "A2": {
        "H": ("viewers/test_export.py::test_both_links_backward_with_forward",
              f"{_TRACE}reader.py::test_backward_is_linked_to_forward",
              f"{_TRACE}reader.py::test_nodes_of_a_write_through_a_view_are_linked_to_it"),
        "U": (f"{_KEYS}backward_is_drawn_and_linked_with_forward",
              "viewers/test_rows.py::test_both_shows_how_far_backward_is_at_the_cursor_"
                    "and_what_is_still_to_come"),
    },
    "A3": {
        "H": ("app/test_seeing.py::test_one_tensor_with_a_slice_and_as_an_image",
              "app/test_tape.py::test_one_op",
              "app/test_variables.py::test_a_tensor_and_its_course",
              "app/test_written_in_place.py::"
              "test_the_operand_of_a_write_is_shown_as_it_was_before"),
        "U": (f"{_UI}look.py::test_images_and_highlighted_values",
              f"{_KEYS}nan_and_inf_have_signs_of_their_own",
              f"{_UI}walk.py::test_values_are_as_of_the_cursor"),
    },
    "A4": {
        "H": ("app/test_seeing.py::test_parameters", "app/test_tape.py::test_one_op",
              "app/test_variables.py::test_gradients_of_variables"),
        "U": (f"{_UI}look.py::test_parameters", WALK,
              f"{_UI}walk.py::test_values_are_as_of_the_cursor"),
    },
    "A5": {"U": (f"{_UI}look.py::test_source_and_memory",
                 f"{_UI}recording_screen.py::test_everything_but_running_on")},
    "A6": {
        "H": ("app/test_pictures.py::test_feeds_and_uses",
              "app/test_variables.py::test_ops_trees_and_reasons"),
        "U": (f"{_UI}takeaway.py::test_summary_feeds_and_uses",),
    },
    "A7": {
        "H": ("app/test_seeing.py::test_source_and_memory",
              "viewers/test_tables.py::test_memory_for_backward",
              "viewers/test_tables.py::test_writes_through_views_are_no_second_pass"),
        "U": (f"{_UI}look.py::test_source_and_memory",),
    },
    "A8": {
        "H": ("app/test_tape.py::test_ops_time_memory", "app/test_pictures.py::test_summary"),
        "U": (f"{_KEYS}times_of_ops_and_modules_forward_and_backward",),
    },
    "A9": {
        "H": (f"{_TRACE}looking.py::test_variables_and_expressions_are_bounded_lines",
              "app/test_runner.py::test_the_console_steps_looks_back_and_goes_on",
              "app/test_seeing.py::test_expressions", "app/test_variables.py::test_expressions"),
        "U": (f"{_UI}walk.py::test_values_are_as_of_the_cursor",
              f"{_UI}look.py::test_watches_over_the_tape",
              f"{_KEYS}variables_name_rows_gradients_and_what_is_watched"),
    },
    "A10": {
        "H": (f"{_TRACE}reader.py::test_an_op_is_complete",
              "viewers/test_store.py::test_names_shapes_and_gradients_of_tensors",
              "app/test_seeing.py::test_ops_with_the_variables_that_they_are_assigned_to",
              "app/test_variables.py::test_a_tensor_and_its_course",
              "app/test_variables.py::test_a_shared_parameter_s_other_name"),
        "U": (WALK, f"{_UI}attach.py::test_attached",
              f"{_KEYS}variables_name_rows_gradients_and_what_is_watched"),
    },
    "A11": {
        "H": ("app/test_tape.py::test_tensors_of_a_step",
              f"{_TRACE}conditions.py::test_updates_are_the_difference_that_the_step_made",
              "app/test_written_in_place.py::"
              "test_an_update_at_a_stop_has_its_value_before_and_the_change"),
        "U": (WALK,),
    },
    "B1": {
        "H": (f"{_TRACE}gate.py::test_next_goes_through_forward_backward_and_the_optimizer",
              f"{_TRACE}gate.py::test_into_goes_into_modules_composites_nodes_and_the_optimizer",
              f"{_TRACE}gate.py::test_out_ends_the_innermost_container",
              f"{_TRACE}gate.py::test_step_ends_with_the_training_step",
              f"{_TRACE}gate.py::test_until_an_op_a_number_of_times_and_a_line",
              f"{_TRACE}gate.py::test_line_step_stops_at_every_line_and_goes_over_calls",
              "app/test_kernel.py::test_breakpoint_and_line_steps_in_a_cell",
              "app/test_runner.py::test_the_console_steps_looks_back_and_goes_on",
              "app/test_runner.py::test_the_console_sets_breakpoints_and_runs_to_a_place"),
        "U": (WALK, f"{_KEYS}into_and_out_of_a_module_a_composite_op_and_a_node",
              f"{_KEYS}by_line_by_training_step_and_to_the_end_of_the_cell",
              f"{_KEYS}a_step_over_a_module_ends_behind_it"),
    },
    "B2": {
        "H": (f"{_TRACE}conditions.py::test_each_row_of_the_tables_is_a_line_that_can_be_written",
              f"{_TRACE}conditions.py::test_limits",
              f"{_TRACE}gate.py::test_conditions_on_outputs",
              f"{_TRACE}gate.py::test_limits_of_a_line_breakpoint",
              "app/test_runner.py::test_forms_of_breakpoints",
              "app/test_places.py::test_run_stops_at_a_line_of_a_cell_and_says_which"),
        "U": (f"{_UI}editing.py::test_a_breakpoint_with_a_condition",
              f"{_UI}new_user.py::test_a_cell_by_its_number_in_the_form",
              f"{_UI}condition_dialog.py::"
              "test_a_condition_that_fails_and_a_name_that_is_not_there_are_told",
              f"{_KEYS}each_condition_of_the_table_is_tried",
              f"{_KEYS}each_condition_typed_on_the_screen_stops_where_it_holds",
              f"{_KEYS}each_place_typed_on_the_screen_stops_there",
              f"{_KEYS}b_on_a_row_of_each_kind"),
    },
    "B3": {
        "H": (f"{_TRACE}conditions.py::"
              "test_a_gradient_stops_after_its_node_with_what_came_in_and_went_out",
              "app/test_runner.py::"
              "test_break_on_a_gradient_shows_its_node_with_what_came_in_and_went_out"),
        "U": (f"{_UI}condition_dialog.py::"
              "test_a_gradient_condition_stops_at_its_node_and_is_there_the_next_time",),
    },
    "B4": {
        "H": (f"{_TRACE}viewers.py::"
              "test_a_program_at_full_speed_is_paused_in_a_tenth_of_a_second",
              f"{_TRACE}gate.py::test_pause_stops_code_without_ops"),
        "U": (f"{_UI}attach.py::test_full_speed_and_back",
              f"{_UI}attach.py::test_a_cell_at_full_speed_is_paused_by_a_key"),
    },
    "B5": {
        "H": (f"{_TRACE}server.py::test_listen_in_a_program_attach_pause_step_detach",
              f"{_TRACE}server.py::test_a_new_viewer_fetches_the_past",
              f"{_TRACE}viewers.py::test_no_viewer_changes_or_stops_what_is_trained"),
        "U": (f"{_UI}attach.py::test_attached", f"{_UI}attach.py::test_two_windows",
              f"{_UI}attach.py::test_through_a_pipe_as_through_ssh"),
    },
    "B6": {
        "H": ("app/test_runner.py::"
              "test_an_exception_shows_the_users_frames_and_the_op_with_its_operands",
              "app/test_runner.py::"
              "test_a_failure_in_a_terminal_opens_post_mortem_at_the_op_that_raised",
              "app/test_runner.py::"
              "test_an_error_of_a_modules_own_code_names_the_module_and_the_line",
              "app/test_runner.py::"
              "test_an_error_in_the_backward_of_a_function_names_the_node_and_the_line"),
        "U": (f"{_UI}trouble.py::test_shape_mismatch_stops_with_its_operands",
              f"{_UI}trouble.py::test_an_error_of_a_modules_own_code_stops_at_the_module",
              f"{_UI}explain.py::"
              "test_a_wrong_gradient_is_found_and_an_exception_shows_who_made_the_operands"),
    },
    "B7": {"H": (
        "app/test_runner.py::test_rules_end_the_run_with_status_1_a_report_and_a_recording",
        f"{_TRACE}rules.py::test_a_fault_is_found",
        f"{_TRACE}rules.py::test_no_false_alarm_on_ordinary_models",
    )},
    "C1": {"U": (WALK, f"{_UI}mouse.py::test_a_click_on_the_time_line_scrubs",
                 f"{_UI}walk.py::test_values_are_as_of_the_cursor")},
    "C2": {
        "H": ("app/test_again.py::test_a_step_runs_as_recorded",
              "app/test_again.py::test_it_says_where_it_went_another_way",
              f"{_TRACE}checkpoints.py::test_a_value_that_is_gone_is_there_again",
              f"{_TRACE}checkpoints.py::test_other_values_are_noticed"),
        "U": (f"{_UI}rerun.py::test_the_values_of_a_step_are_there_again",
              f"{_UI}rerun.py::test_a_step_that_goes_another_way_is_not_passed_off_as_the_same"),
    },
    "C3": {
        "H": (f"{_TRACE}recording.py::test_a_killed_process_loses_the_step_in_progress_at_most",
              f"{_TRACE}recording.py::test_cut_anywhere", "app/test_tape.py::test_follow",
              "app/test_tape.py::test_verify_and_repair"),
        "U": (f"{_UI}recording_screen.py::test_everything_but_running_on",
              f"{_UI}recording_screen.py::test_a_recording_that_is_being_written"),
    },
    "C4": {
        "H": ("app/test_seeing.py::test_a_tensor_over_the_steps",),
        "U": (f"{_UI}look.py::test_one_tensor_over_the_steps",),
    },
    "C5": {"H": (
        f"{_TRACE}recording.py::test_the_ring_drops_the_values_of_old_steps",
        f"{_TRACE}recording.py::test_spill_ends_at_the_budget",
        f"{_TRACE}reader.py::test_a_ring_that_ran_over_gives_what_is_left",
    )},
    "D1": {
        "H": (f"{_TRACE}why.py::test_a_nan_is_followed_through_backward_and_the_update_into_the_"
              "step_it_was_born_in", f"{_TRACE}why.py::test_causes",
              f"{_TRACE}why.py::test_infinities_that_meet_are_followed_to_where_they_began",
              f"{_TRACE}why.py::test_zeros_begin_where_something_else_became_zero",
              "app/test_runner.py::test_why_and_a_gradient_check_at_the_prompt"),
        "U": (f"{_UI}explain.py::test_the_nan_of_step_37_is_found_with_three_keys",
              f"{_UI}explain.py::test_zeros_and_infinities_are_explained_by_one_key",
              f"{_UI}tour.py::test_each_bug_is_found_with_under_ten_keys"),
    },
    "D2": {
        "H": (f"{_TRACE}why.py::test_the_cut_is_named",
              f"{_TRACE}why.py::test_a_dead_relu_stops_a_gradient",
              f"{_TRACE}why.py::test_other_reasons_for_no_gradient"),
        "U": (f"{_UI}explain.py::test_a_vanishing_gradient_names_the_detached_branch",
              f"{_UI}explain.py::test_each_cut_of_a_gradient_is_named_by_one_key"),
    },
    "D3": {
        "H": (f"{_TRACE}check.py::test_a_right_rule_agrees_and_a_wrong_one_does_not",
              f"{_TRACE}check.py::test_a_loss_without_dimensions_is_checked_like_any_other"),
        "U": (f"{_UI}explain.py::"
              "test_a_wrong_gradient_is_found_and_an_exception_shows_who_made_the_operands",
              f"{_UI}explain.py::test_the_gradient_of_a_loss_is_checked"),
    },
    "D4": {
        "H": (f"{_TRACE}forks.py::test_an_edit_changes_the_branch_only",
              f"{_TRACE}forks.py::test_a_gradient_on_its_way_is_exchanged",
              f"{_TRACE}forks.py::test_adopted_the_branch_is_the_program",
              "app/test_runner_viewers.py::test_a_branch_is_compared_at_the_prompt"),
        "U": (f"{_UI}whatif.py::test_a_change_is_compared_and_dropped",
              f"{_UI}whatif.py::test_an_attribute_and_a_gradient_on_its_way",
              f"{_UI}whatif.py::test_adopted_the_notebook_goes_on_in_the_branch"),
    },
    "D5": {
        "H": ("viewers/test_compare.py::"
              "test_a_spike_of_the_learning_rate_is_the_first_divergence",
              "viewers/test_compare.py::test_why_a_step_took_the_other_branch",
              "viewers/test_compare.py::test_the_command_line"),
        "U": (f"{_UI}explain.py::"
              "test_a_spike_of_the_learning_rate_is_found_by_comparing_two_recordings",
              f"{_UI}explain.py::test_why_a_step_took_the_other_branch_is_two_keys_away",
              f"{_UI}whatif.py::test_a_change_is_compared_and_dropped",
              f"{_UI}new_user.py::"
              "test_a_step_that_goes_on_is_compared_up_to_where_it_has_come"),
    },
    "E1": {
        "H": ("app/test_pictures.py::test_every_format_has_the_same_options",
              "viewers/test_html.py::test_values_gradients_and_source_lines_are_in_it"),
        "U": (f"{_UI}takeaway.py::test_export_with_values_and_options",),
    },
    "E2": {
        "H": ("app/test_pictures.py::test_summary",
              "viewers/test_model_summary.py::test_shapes_parameters_and_flops"),
        "U": (f"{_UI}takeaway.py::test_summary_feeds_and_uses",),
    },
    "E3": {"H": ("framework/test_reprs.py::test_a_tensor_in_a_notebook",
                 "framework/test_reprs.py::test_a_module_in_a_notebook",
                 "framework/test_reprs.py::test_rich",
                 f"{_TRACE}recording.py::test_what_the_run_was",
                 "viewers/test_model_summary.py::test_reprs")},
    "E4": {
        "H": ("app/test_tape.py::test_timeline", "app/test_tape.py::test_tensors_of_a_step"),
        "U": (f"{_UI}takeaway.py::test_a_picture_of_the_screen",),
    },
}  # fmt: skip


@cache
def _functions(path: Path) -> frozenset[str]:
    tree = ast.parse(path.read_text("utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_driven_where_it_must_exist(row: str) -> None:
    driven = DRIVEN[row]
    assert set(driven) == set(ROWS[row]), f"{row} must exist in {ROWS[row]}"
    for surface, names in driven.items():
        assert names, f"no test drives {row} in {surface}"
        for name in names:
            file, _, function = name.partition("::")
            path = TESTS / file
            assert path.is_file(), f"{row}, {surface}: there is no {file}"
            assert function in _functions(path), f"{row}, {surface}: there is no {name}"


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_a_section_with_an_example(row: str) -> None:
    text = PAGE.read_text("utf-8")
    section = text.partition(f"\n### {row} ")[2].partition("\n### ")[0]
    assert section, f"docs/debugger.md has no section for {row}"
    assert "`" in section, f"{row}: no key, command or example"
    if "H" in ROWS[row]:
        assert "```" in section, f"{row}: no example without the screen"
