namespace RetrievalEngine.Cli.Demo;

/// <summary>What a finished step took.</summary>
/// <param name="Name">The step.</param>
/// <param name="Seconds">Wall time.</param>
/// <param name="Tokens">Tokens that went through the model, 0 for other work.</param>
/// <param name="ComputeSeconds">The part of the time in which they did.</param>
internal sealed record DemoRecord(string Name, double Seconds, long Tokens = 0, double ComputeSeconds = 0);
