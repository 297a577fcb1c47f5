# Called by the challenge in /workspace, once per step; segbench can process many steps in one call.
exec segbench predict --model ours --inputs inputs --outputs outputs ${SEGBENCH_PERSISTENT:+--persistent}
