"""docs/topics/what-happens-to-an-order.md: which test tries which row. What no test can try has a † on the page."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs" / "topics" / "what-happens-to-an-order.md"
REASONED = "†"

BATCH = "contract/test_contract_orders.py"
FAULTS = "integration/test_machine_faults.py"
GATEWAY, RETRIES = "gateway/test_gateway.py", "gateway/test_gateway_retries.py"
HAPPENS = "integration/test_what_happens.py"
JOURNAL = "integration/test_journal.py"
ORDERS = "integration/test_orders.py"
PROOF = "integration/test_not_accepted.py"

TRIED = {  # how a row begins → the file and the name of a test
    "a value cannot be right": ("integration/test_bad_input.py", "test_bad_input"),
    "a risk check refuses": ("trading/test_risk.py", "test_checks_are_asked_in_order_until_one_refuses"),
    "trading is halted, here": (JOURNAL, "test_halt_holds_in_every_process_and_after_a_restart"),
    "it is halted while": (JOURNAL, "test_who_waits_for_budget_while_trading_is_halted_sends_nothing"),
    "the same client order id or key was used with other": (JOURNAL, "test_one_key_is_one_order_in_every_process"),
    "the same id or key was used with the same": (JOURNAL, "test_what_was_never_sent_is_sent_under_the_same_key"),
    "the rate budget does not": (GATEWAY, "test_no_budget_before_the_deadline_is_told_at_once"),
    "the exchange failed too often": (GATEWAY, "test_places_are_held_back_and_cancels_are_not"),
    "there is no connection": (ORDERS, "test_the_exchange_cannot_be_reached"),
    "the disk is full": (FAULTS, "test_a_full_disk_refuses_orders_and_lets_cancels_through"),
    "the journal's folder is not": (
        FAULTS,
        "test_a_folder_that_cannot_be_written_refuses_orders_and_lets_cancels_through",
    ),
    "the journal is locked": (JOURNAL, "test_a_journal_that_another_process_holds_refuses_soon"),
    "the clock of this machine is wrong": (
        FAULTS,
        "test_a_clock_that_is_set_signs_with_the_exchanges_time_all_the_same",
    ),
    "the exchange's clock cannot": (GATEWAY, "test_a_clock_that_cannot_be_asked_sends_nothing"),
    "no answer comes in time, and the exchange has": (ORDERS, "test_what_nobody_waits_for_any_more_is_still_found"),
    "no answer comes in time, and the exchange does not": (
        ORDERS,
        "test_an_unknown_order_that_shows_up_late_is_resolved",
    ),
    "the same, and a good minute": (PROOF, "test_an_order_that_never_arrived_is_known_not_to_have_arrived"),
    "it counts as `NOT_ACCEPTED`": (PROOF, "test_an_order_that_shows_up_after_all_is_canceled"),
    "the same, and the exchange fails": (PROOF, "test_an_error_is_no_evidence"),
    "the same, and reads lag": (
        "trading/test_doubts.py",
        "test_lagging_reads_stop_every_conclusion_until_three_are_prompt",
    ),
    "the connection is reset after": (ORDERS, "test_a_lost_answer_is_found_and_nothing_is_sent_twice"),
    "the connection is reset before": (ORDERS, "test_no_answer_and_no_order_is_unknown_not_a_failure"),
    "5xx, with whatever body": (BATCH, "test_a_lost_answer_is_found_and_never_doubled"),
    "the body is cut off": (BATCH, "test_a_lost_answer_is_found_and_never_doubled"),
    "a code that is not on": ("exchanges/binance/test_errors.py", "test_an_unlisted_code_is_not_definite"),
    "a redirect (3xx)": (FAULTS, "test_a_redirect_to_another_host_takes_neither_key_nor_order_there"),
    "the exchange refuses": (ORDERS, "test_without_funds"),
    "the exchange says that it is overloaded": (RETRIES, "test_a_definite_no_is_told_at_once"),
    "429, or": (RETRIES, "test_a_limit_is_waited_for"),
    "418 or 403": (RETRIES, "test_a_ban_is_obeyed_by_all_calls"),
    "the time is refused": (RETRIES, "test_a_refused_timestamp_is_made_anew_once"),
    "key, signature": (GATEWAY, "test_a_wrong_key_is_not_hammered"),
    "the exchange says that it has": (
        BATCH,
        "test_an_order_that_was_taken_and_called_one_too_many_is_no_refused_one",
    ),
    "the exchange only acknowledges": (BATCH, "test_waiting_gets_an_orders_fate"),
    "it is filled before the answer": (FAULTS, "test_fills_that_come_before_the_answer_are_in_it"),
    "Ctrl-C": (ORDERS, "test_an_interrupt_in_the_middle_of_a_send_leaves_the_order_unknown"),
    "several are placed at once": (BATCH, "test_a_batch_whose_answer_is_lost_is_found_order_by_order"),
    "the client is closed meanwhile": (HAPPENS, "test_a_client_that_is_closed_in_the_middle_of_a_call"),
    "`kill -9` before the wish": ("trading/test_intents.py", "test_a_new_id_is_written_with_its_attempt"),
    "`kill -9` between the wish": (JOURNAL, "test_a_process_killed_before_it_sent_has_sent_nothing"),
    "`kill -9` between the attempt": (HAPPENS, "test_killed_between_the_attempt_and_the_first_byte"),
    "`kill -9` between the first byte": (
        JOURNAL,
        "test_a_process_killed_between_send_and_answer_has_forgotten_nothing",
    ),
    "`kill -9` after the answer": (HAPPENS, "test_killed_between_the_answer_and_its_record"),
    "`kill -9` before or in an `on_fill` call": (
        "integration/test_replayed_fills.py",
        "test_what_a_killed_process_may_not_have_handled_comes_again_once",
    ),
    "the process is suspended before": (
        FAULTS,
        "test_an_order_that_slept_before_its_first_byte_is_signed_anew_when_it_is_too_late",
    ),
    "the process is suspended, and another": (FAULTS, "test_who_was_taken_for_dead_while_it_slept_sends_nothing"),
    "a power cut, with": REASONED,
    "a power cut, by default": REASONED,
    "the disk is lost": (HAPPENS, "test_a_deleted_journal_has_forgotten_everything"),
    "no journal (`journal=None`)": (HAPPENS, "test_killed_without_a_journal"),
    "the program forks": (HAPPENS, "test_a_fork_in_the_middle_of_a_call"),
    "two machines trade": (HAPPENS, "test_two_machines_know_nothing_of_each_other"),
    "the answer is lost, 5xx": (BATCH, "test_a_lost_answer_to_a_cancel_is_no_doubt"),
    "it is filled before the cancel": (ORDERS, "test_cancel_too_late_is_no_error"),
    "the cancel overtakes": (HAPPENS, "test_a_cancel_that_overtakes_its_order"),
    "the order never arrives": (PROOF, "test_canceling_what_never_arrived"),
    "no cancel is answered": (PROOF, "test_a_cancel_without_an_answer_goes_on_in_the_background"),
    "the exchange has no such order": (ORDERS, "test_cancel_of_an_order_that_never_was"),
    "the journal cannot be written, trading": (
        JOURNAL,
        "test_a_journal_that_cannot_be_written_refuses_places_and_lets_cancels_through",
    ),
    "the address is banned": (RETRIES, "test_a_ban_is_obeyed_by_all_calls"),
    "`cancel_all_orders`, while orders": (HAPPENS, "test_a_cancel_of_everything_while_an_order_is_on_its_way"),
    "`cancel_all_orders`, while what": (HAPPENS, "test_a_cancel_of_everything_that_sees_old_reads"),
    "`cancel_all_orders`, and the": (HAPPENS, "test_a_cancel_of_everything_of_which_one_symbol_is_refused"),
    "`cancel_all_orders` cannot see": (HAPPENS, "test_a_cancel_of_everything_that_cannot_look"),
    "the answer is lost, and the exchange amends": (HAPPENS, "test_a_lost_answer_to_an_amend_in_place"),
    "the answer is lost, and the exchange cancels": (
        "integration/test_amend_answers.py",
        "test_the_new_order_is_found",
    ),
    "the order has these values": (
        "integration/test_amend_answers.py",
        "test_an_amend_that_changes_nothing_leaves_the_order_its_place_in_the_queue",
    ),
    "the order is filled meanwhile": (HAPPENS, "test_an_amend_of_an_order_that_was_filled_meanwhile"),
    "it is filled in part": (ORDERS, "test_a_part_filled_order_is_not_replaced"),
}


def rows():
    lines = [line for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    cells = [re.split(r"(?<!\\)\|", line)[1].strip() for line in lines]
    return [cell for cell in cells if not cell.startswith("when …")]


@pytest.mark.parametrize("row", rows())
def test_each_row_names_its_test(row):
    (proof,) = [proof for begin, proof in TRIED.items() if row.startswith(begin)]
    assert row.endswith(REASONED) == (proof == REASONED)
    if proof != REASONED:
        file, name = proof
        assert re.search(rf"^def {name}\(", (TESTS / file).read_text(encoding="utf-8"), re.MULTILINE)


def test_nothing_is_named_for_a_row_that_is_gone():
    assert [begin for begin in TRIED if not any(row.startswith(begin) for row in rows())] == []
