using System;
using RetrievalEngine.Compute;

namespace RetrievalEngine.Cli.Bench;

/// <summary>One thing to time, at one shape.</summary>
/// <param name="Op">The op's name in <see cref="IBackend"/>, or TrainingStep.</param>
/// <param name="Name">What is done with it, in a few words.</param>
/// <param name="Shape">The sizes, for people.</param>
/// <param name="DType">The type that the bulk of the data has.</param>
/// <param name="Flops">Floating-point operations of products; 0 where they do not count beside the bytes.</param>
/// <param name="Bytes">Bytes that must be read from and written to memory at least: each input once, each output once.</param>
/// <param name="Prepare">Makes the data and gives what is timed.</param>
internal sealed record BenchCase(string Op, string Name, string Shape, DType DType, double Flops, double Bytes, Func<BenchData, Action> Prepare)
{
    /// <summary>Whether the machine's peaks bound it: not so for copies between host and device.</summary>
    public bool HasFloor { get; init; } = true;
}
