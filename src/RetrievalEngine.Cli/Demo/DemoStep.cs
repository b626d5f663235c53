using System.Collections.Generic;

namespace RetrievalEngine.Cli.Demo;

/// <summary>One verb of the demo.</summary>
/// <param name="Name">Unique, for the record of what is done: <c>base encode</c>.</param>
/// <param name="Title">What it does, for the reader.</param>
/// <param name="Weight">Its share of the whole time; measured once, only the proportions matter.</param>
/// <param name="Arguments">The command line behind <c>retrieval</c>.</param>
internal sealed record DemoStep(string Name, string Title, double Weight, IReadOnlyList<string> Arguments);
