//! The tests that are left out when the embedded server, as a program, is the server of the tests: each needs
//! something that it lacks.

/// What is lacking, and the tests that need it, as `file.rs::name` below `tests/`. A listed test asks
/// `left_out_on_embedded` before anything else.
pub(super) const LEFT_OUT: &[(&str, &[&str])] = &[
    (
        "data that survive a kill",
        &[
            "chaos/main.rs::random_faults_violate_no_invariant",
            "consumer/outages.rs::row_183_a_server_that_dies_costs_no_entry",
            "consumer/outages.rs::row_183_what_was_handled_during_an_outage_is_acknowledged_after_it",
            "fallback/discard.rs::a_chat_goes_on_through_an_outage",
            "fallback/discard.rs::what_was_deleted_during_an_outage_stays_deleted",
            "fallback/honesty.rs::no_write_is_said_to_be_in_the_server_that_is_not",
            "fallback/honesty.rs::what_is_evicted_or_expires_here_stays_at_the_server",
            "fallback/replay.rs::a_replay_that_is_cut_off_goes_on_at_the_next_recovery",
            "fallback/replay.rs::the_server_gets_what_callers_were_told",
            "faults/restart.rs::a_killed_server_loses_no_acknowledged_write_and_no_call_hangs",
        ],
    ),
    (
        "a dataset that takes time to load",
        &[
            "faults/loading.rs::row_14_loading_at_startup",
            "faults/loading.rs::row_15_increments_during_loading_run_once_or_are_refused",
            "faults/loading.rs::row_15_loading_at_run_time",
            "faults/loading.rs::row_15_many_calls_wait_for_loading",
        ],
    ),
    (
        "replication",
        &[
            "commands/blocking.rs::wait_needs_a_write_before_it_on_the_same_connection",
            "faults/refusals.rs::row_34_unblocked",
            "faults/replicas.rs::row_16_a_replica_from_the_start_is_asked_twice",
            "faults/replicas.rs::row_16_a_replica_is_not_dialled_in_a_tight_loop",
            "faults/replicas.rs::row_16_many_callers_open_one_new_connection",
            "faults/replicas.rs::row_16_readonly",
            "faults/replicas.rs::row_17_masterdown",
            "faults/replicas.rs::row_18_noreplicas",
        ],
    ),
    (
        "files that cannot be saved",
        &["faults/refusals.rs::row_19_misconf"],
    ),
    (
        "libraries of functions",
        &["faults/replies.rs::row_58_errors_of_a_script_are_its_own"],
    ),
    (
        "a bound on connections that wait to be accepted",
        &["faults/stalls.rs::row_10_syn_dropped"],
    ),
    (
        "replies while a script runs",
        &["faults/refusals.rs::row_21_busy_script"],
    ),
    (
        "replicas and sentinels",
        &[
            "sentinel/access.rs::row_135_a_service_that_no_sentinel_knows",
            "sentinel/access.rs::row_140_sentinels_that_permit_no_subscription",
            "sentinel/changes.rs::a_database_moves_to_sentinels_and_back_under_load",
            "sentinel/access.rs::row_136_sentinels_with_passwords",
            "sentinel/away.rs::row_133_all_sentinels_are_away_and_come_back",
            "sentinel/away.rs::row_133_without_sentinels_a_lost_primary_is_not_dialled_again",
            "sentinel/away.rs::row_134_a_first_sentinel_that_is_dead_or_hangs_does_not_delay",
            "sentinel/failovers.rs::row_130_crash_of_the_primary_under_load",
            "sentinel/failovers.rs::row_131_ordered_failover_under_load",
            "sentinel/failovers.rs::row_132_partition_of_the_old_primary_from_all_but_this_client",
            "pubsub/failover.rs::row_210_subscribers_follow_a_failover",
            "sentinel/tls.rs::row_141_sentinels_and_server_over_tls",
            "sentinel/learning.rs::row_137_sentinels_that_are_announced_are_learnt",
            "sentinel/replicas.rs::replicas_end_with_their_database",
            "sentinel/replicas.rs::replicas_serve_reads_and_refuse_writes",
            "sentinel/replicas.rs::row_150_a_replica_that_dies_or_freezes_fails_no_read",
            "sentinel/replicas.rs::row_151_data_that_may_be_too_old_is_not_served",
            "sentinel/replicas.rs::row_152_replicas_serve_while_the_primary_is_away",
            "sentinel/replicas.rs::row_153_after_a_failover_the_old_primary_is_a_replica_and_the_new_one_none",
        ],
    ),
    (
        "CLIENT TRACKING",
        &[
            "near_cache/bounds.rs::bytes_and_entries_are_bounded",
            "near_cache/bounds.rs::without_tracking_reads_go_to_the_server",
            "near_cache/changes.rs::a_slow_move_leaves_nobody_at_the_old_place",
            "near_cache/changes.rs::changes_by_others_are_seen",
            "near_cache/changes.rs::transactions_and_leases_of_a_cached_handle_are_seen_at_once",
            "near_cache/changes.rs::own_writes_are_seen_at_once",
            "near_cache/changes.rs::replies_live_no_longer_than_their_keys",
            "near_cache/changes.rs::replies_get_no_older_than_the_maximum",
            "near_cache/changes.rs::a_change_of_the_place_empties_it",
            "near_cache/losses.rs::row_160_a_lost_connection_empties_the_cache",
            "near_cache/losses.rs::row_161_a_restarted_server_is_asked_again",
            "near_cache/losses.rs::row_162_a_silent_server_is_not_trusted_for_long",
            "near_cache/replies.rs::kept_replies_are_those_of_the_server_in_resp2",
            "near_cache/replies.rs::kept_replies_are_those_of_the_server_in_resp3",
            "near_cache/replies.rs::hits_ask_no_server",
            "near_cache/replies.rs::misses_at_the_same_time_ask_once",
            "near_cache/replies.rs::an_mget_asks_for_what_is_missing",
            "near_cache/replies.rs::errors_and_other_commands_go_the_usual_way",
            "near_cache/stale.rs::row_163_no_read_is_older_than_what_its_caller_knows",
        ],
    ),
    (
        "a cluster",
        &[
            "cluster/fixture.rs::a_cluster_is_complete_and_its_slots_move_with_their_keys",
            "cluster/fixture.rs::replicas_are_promoted_by_themselves_and_by_hand",
        ],
    ),
];
