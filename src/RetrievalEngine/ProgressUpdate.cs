namespace RetrievalEngine;

/// <summary>How far a long job is; handed to an <see cref="System.IProgress{T}"/> that draws it (terminal) or writes a line now and then (log).</summary>
/// <param name="Stage">What is being done, in the imperative: <c>encode corpus</c>.</param>
/// <param name="Done">Units finished.</param>
/// <param name="Total">Units in all; 0 where unknown.</param>
/// <param name="Unit">What is counted: <c>texts</c>, <c>steps</c>.</param>
/// <param name="Detail">Shown behind the rate, such as the loss.</param>
public readonly record struct ProgressUpdate(string Stage, long Done, long Total, string Unit, string? Detail = null);
