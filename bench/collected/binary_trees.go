// binary-trees in Go: the program of binary_trees.c, in one goroutine, nodes as Go programs write
// them. The collector has the other cores.
package main

import (
	"fmt"
	"os"
	"strconv"
)

const leastDepth = 4

type node struct{ left, right *node }

func makeTree(depth int) *node {
	if depth == 0 {
		return &node{}
	}
	return &node{makeTree(depth - 1), makeTree(depth - 1)}
}

func (n *node) count() int {
	if n.left == nil {
		return 1
	}
	return 1 + n.left.count() + n.right.count()
}

func main() {
	depth := 0
	if len(os.Args) == 2 {
		depth, _ = strconv.Atoi(os.Args[1])
	}
	if depth < leastDepth {
		fmt.Fprintln(os.Stderr, "binary_trees: give a depth from 4 on")
		os.Exit(2)
	}
	fmt.Printf("stretch tree of depth %d\t check: %d\n", depth+1, makeTree(depth+1).count())
	stays := makeTree(depth)
	for d := leastDepth; d <= depth; d += 2 {
		trees := 1 << (depth - d + leastDepth)
		nodes := 0
		for i := 0; i < trees; i++ {
			nodes += makeTree(d).count()
		}
		fmt.Printf("%d\t trees of depth %d\t check: %d\n", trees, d, nodes)
	}
	fmt.Printf("long lived tree of depth %d\t check: %d\n", depth, stays.count())
}
