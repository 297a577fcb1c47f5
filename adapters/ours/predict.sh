# What the challenge calls in /workspace, once a step; segbench may ask for many steps in one call.
exec segbench predict --model ours --inputs inputs --outputs outputs ${SEGBENCH_PERSISTENT:+--persistent}
