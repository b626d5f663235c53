using System;

namespace RetrievalEngine.Training;

/// <summary>A micro-batch that is ready to be computed.</summary>
/// <param name="Tokens">How many tokens it has.</param>
/// <param name="Masked">How many candidates are left out of the loss.</param>
/// <param name="Run">Adds the gradients, times its second argument; the first is the seed of the dropout masks.</param>
public sealed record PreparedBatch(long Tokens, int Masked, Func<ulong, float, Pending<StepResult>> Run);
