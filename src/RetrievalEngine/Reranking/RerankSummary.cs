using RetrievalEngine.Evaluation;

namespace RetrievalEngine.Reranking;

/// <summary>What reranking gave.</summary>
/// <param name="Run">The documents of each query by their new scores, best first.</param>
/// <param name="Pairs">How many were scored.</param>
/// <param name="PairsBefore">How many were there already, from a run that was stopped.</param>
/// <param name="Tokens">Of how many tokens.</param>
/// <param name="Truncated">Pairs that were too long and lost tokens.</param>
/// <param name="Seconds">How long it took.</param>
public sealed record RerankSummary(RunFile Run, long Pairs, long PairsBefore, long Tokens, int Truncated, double Seconds);
